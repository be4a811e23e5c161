% rebase('base.tpl', title=title, page='unit', cursor=cursor, unit_name=row.unit, read_only=read_only, version=version)
<nav aria-label="Where you are"><a href="/">Units</a> › <span aria-current="page">{{row.unit}}</span></nav>
<h1>{{row.unit}}</h1>
<p class="about">{{row.description if row.description != row.unit else ''}}</p>
<section class="summary" aria-label="State" id="summary">
<p><span class="state {{state_class(row.active)}}" id="state">{{row.active}}</span> <span class="dim" id="sub">{{row.sub}}</span>
<span id="since">{{when(row.since)}}</span></p>
<dl class="facts">
<dt>Result</dt><dd id="result">{{row.result}}</dd>
<dt>Main PID</dt><dd id="pid">{{row.main_pid or '–'}}</dd>
<dt>Restarts</dt><dd id="restarts">{{row.restarts}}</dd>
<dt>Next restart</dt><dd id="next">{{due(row.next_restart) or '–'}}</dd>
<dt>CPU</dt><dd id="cpu">{{percent(row.cpu) or '–'}}</dd>
<dt>Memory</dt><dd id="memory">{{size(row.memory) or '–'}}</dd>
<dt>Status</dt><dd id="text">{{row.status_text or '–'}}</dd>
<dt>Loaded</dt><dd>{{row.load}}{{'; ' + detail.unit_file_state if detail.unit_file_state else ''}}</dd>
</dl>
% if detail.last_failure:
<p class="warning">{{detail.last_failure}}</p>
% end
% for warning in detail.warnings:
<p class="warning">{{warning}}</p>
% end
</section>
% if not read_only:
<section class="actions" aria-label="Actions" id="actions" hidden>
% for action in actions:
<button type="button" data-action="{{action}}">{{action.capitalize()}}</button>
% end
<p id="outcome" role="status" aria-live="polite"></p>
</section>
<dialog id="confirm" aria-labelledby="question">
<form method="dialog">
<h2 id="question"></h2>
<p id="plan-note"></p>
<ul id="plan"></ul>
<label id="signal-label" hidden>Signal <select id="signal">
% for signal in signals:
<option>{{signal}}</option>
% end
</select></label>
<label id="instances-label" hidden>Instances <input id="instances" type="number" min="0" max="1000" value="{{detail.properties.get('Instances', '1')}}"></label>
<div class="buttons"><button value="no" id="no">Cancel</button><button value="yes" id="yes" class="main">Do it</button></div>
</form>
</dialog>
% end
<section aria-labelledby="output-title">
<h2 id="output-title">Output</h2>
<div class="tools" id="log-tools" hidden>
<button type="button" id="pause" aria-pressed="false">Pause</button>
<label>Search <input type="search" id="search" maxlength="200" autocomplete="off"></label>
<label>Stream <select id="stream"><option value="">all</option><option value="out">stdout</option><option value="err">stderr</option><option value="manager">unitd</option></select></label>
<span id="log-note" class="dim" role="status"></span>
</div>
<div class="log" id="log" role="log" aria-label="Output of {{row.unit}}" tabindex="0" aria-live="off">\\
% for line in lines:
<div class="line {{line.stream}}"><span class="at">{{log_stamp(line.realtime)}}</span> <span class="words">{{line.text}}</span></div>\\
% end
</div>
</section>
<section aria-labelledby="charts-title">
<h2 id="charts-title">CPU and memory</h2>
<div class="charts"><figure><figcaption>CPU <span id="cpu-now">{{percent(row.cpu)}}</span></figcaption><div id="cpu-chart" class="chart">{{!cpu}}</div></figure>
<figure><figcaption>Memory <span id="memory-now">{{size(row.memory)}}</span></figcaption><div id="memory-chart" class="chart">{{!memory}}</div></figure></div>
</section>
<section aria-labelledby="processes-title">
<h2 id="processes-title">Processes</h2>
<ul class="tree" id="processes">
% for process in detail.processes:
<li data-depth="{{process.depth}}"><span class="pid">{{process.pid}}</span> <code>{{'  ' * process.depth}}{{process.cmdline}}</code></li>
% end
</ul>
<p class="dim" id="no-processes"{{!' hidden' if detail.processes else ''}}>It has none.</p>
</section>
<section aria-labelledby="picture-title">
<h2 id="picture-title">Dependencies</h2>
<div class="scroll" id="picture" role="region" aria-label="Picture of dependencies" tabindex="0">{{!picture}}</div>
</section>
<section aria-labelledby="events-title">
<h2 id="events-title">Events</h2>
<ol class="events" id="events">
% for event in events[:100]:
<li><span class="at">{{stamp(event.get('time') or 0)}}</span> {{event.get('kind', '')}} {{event.get('active') or event.get('type') or event.get('what') or event.get('text') or ''}} {{event.get('sub') or event.get('state') or event.get('reason') or ''}} {{event.get('result') or ''}}</li>
% end
% for name in ('ActiveEnter', 'ActiveExit', 'InactiveEnter', 'InactiveExit', 'StateChange'):
% if detail.properties.get(name + 'Timestamp'):
<li class="dim"><span class="at">{{detail.properties[name + 'Timestamp']}}</span> {{name}}</li>
% end
% end
</ol>
</section>
<section aria-labelledby="files-title">
<h2 id="files-title">Unit file and drop-ins</h2>
% for file in files:
<details{{!' open' if file is files[0] else ''}}><summary>{{file.path}}</summary><pre class="file" tabindex="0">{{file.text}}</pre></details>
% end
% if not files:
<p class="dim">It has none.</p>
% end
</section>
<section aria-labelledby="properties-title">
<h2 id="properties-title">Properties</h2>
<details><summary>All {{len(detail.properties)}} properties</summary>
<div class="scroll" role="region" aria-label="Properties" tabindex="0"><table class="properties"><tbody>
% for name, value in sorted(detail.properties.items()):
<tr><th scope="row">{{name}}</th><td>{{value}}</td></tr>
% end
</tbody></table></div></details>
</section>
