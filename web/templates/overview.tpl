% rebase('base.tpl', title=title, page='overview', cursor=cursor, read_only=read_only, version=version)
<h1>Units</h1>
<noscript><p class="note">This is how things were when the page was loaded: without scripts it does not change, and changes nothing.</p></noscript>
<form class="tools" method="get" action="/" id="tools">
<label>Filter <input type="search" name="q" id="filter" value="{{query}}" placeholder="name, state, target" maxlength="200" autocomplete="off"></label>
<label>Group by <select name="group" id="group">
<option value="none">nothing</option>
% for choice in choices:
<option value="{{choice}}"{{!' selected' if choice == group else ''}}>{{choice}}</option>
% end
</select></label>
<label><input type="checkbox" name="all" id="all" value="1"{{!' checked' if every else ''}}> slices and built-in targets</label>
<button type="submit" class="plain">Apply</button>
<span id="counts" class="counts">{{shown}} shown{{''.join(f' · {n} {state}' for state, n in sorted(counts.items()))}}</span>
</form>
<div class="scroll" role="region" aria-label="Units" tabindex="0">
<table class="units" id="units">
<thead><tr><th scope="col">Unit</th><th scope="col">State</th><th scope="col">Since</th><th scope="col">CPU</th><th scope="col">Memory</th><th scope="col">Restarts</th><th scope="col">Next restart</th></tr></thead>
% for heading, units in groups:
<tbody>
% if heading:
<tr class="heading"><th colspan="7" scope="rowgroup">{{heading}} <span class="dim">({{len(units)}})</span></th></tr>
% end
% for unit in units:
<tr data-unit="{{unit.unit}}">
<th scope="row"><a href="{{link(unit.unit)}}">{{unit.unit}}</a><span class="about">{{unit.description if unit.description != unit.unit else ''}}</span></th>
<td data-label="State"><span class="state {{state_class(unit.active)}}">{{unit.active}}</span> <span class="dim">{{unit.sub}}</span></td>
<td data-label="Since">{{when(unit.since)}}</td>
<td data-label="CPU" class="number">{{!cpu(unit)}} {{percent(unit.cpu)}}</td>
<td data-label="Memory" class="number">{{!memory(unit)}} {{size(unit.memory)}}</td>
<td data-label="Restarts" class="number">{{unit.restarts}}</td>
<td data-label="Next restart">{{due(unit.next_restart)}}</td>
</tr>
% end
</tbody>
% end
</table>
</div>
% if not shown:
<p class="note" id="none">No unit fits the filter.</p>
% end
