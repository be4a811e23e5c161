% rebase('base.tpl', title=title, page='problem', read_only=read_only, version=version)
<h1>{{title}}</h1>
<p class="warning">{{refused}}</p>
% if refused.hint:
<p>{{refused.hint}}</p>
% end
<p><a href="/">All units</a></p>
