<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{{title}} – unitd</title>
<link rel="icon" href="/favicon.ico" type="image/svg+xml">
<link rel="stylesheet" href="/static/style.css">
<script type="module" src="/static/main.js"></script>
</head>
<body data-page="{{get('page', '')}}" data-cursor="{{get('cursor', '')}}" data-unit="{{get('unit_name', '')}}" data-read-only="{{'1' if read_only else ''}}">
<a class="skip" href="#main">Skip to content</a>
<header class="top">
<a class="brand" href="/"><svg viewBox="0 0 24 24" width="22" height="22" aria-hidden="true"><rect x="2" y="3" width="20" height="5" rx="1.5"/><rect x="2" y="10" width="20" height="5" rx="1.5"/><rect x="2" y="17" width="20" height="5" rx="1.5"/></svg> unitd</a>
<span id="connection" class="connection" role="status" aria-live="polite"></span>
<span class="space"></span>
<button id="theme" type="button" hidden>Dark</button>
% if get('page', ''):
<form method="post" action="/logout"><button type="submit">Log out</button></form>
% end
</header>
<main id="main" tabindex="-1">
{{!base}}
</main>
<footer>unitd {{version}}{{', read-only' if read_only else ''}} · <a href="/api/v1/openapi.json">API</a></footer>
</body>
</html>
