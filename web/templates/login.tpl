% rebase('base.tpl', title=title, read_only=read_only, version=version)
<h1>Log in</h1>
<p>This page shows what services print and can stop them, so it asks who you are.
<code>unitctl web --open</code> opens it for you; <code>unitctl web</code> prints address and token.</p>
% if problem:
<p class="warning" role="alert">{{problem}}</p>
% end
<form method="post" action="/login" class="login" id="login">
<input type="hidden" name="next" value="{{target}}">
<label>Token or password <input type="password" name="token" id="token" autocomplete="current-password" required autofocus></label>
<button type="submit" class="main">Log in</button>
</form>
