import { createHash } from 'node:crypto'
import { TRY_IT_SCRIPT } from './try-it-script.ts'

export type TryItPage = {
  /** Why this visitor gets no form, as a sentence; null when there is one. */
  readonly whyNoForm: string | null
  /** What the publish command needs beside its three words (`URL` is the gateway's); null when it cannot be used. */
  readonly publishFlags: string | null
}

const STYLE = `
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #fff; --line: #dfe3e9; --text: #1b2330; --soft: #5d6879; --field: #fbfcfd;
  --accent: #4a47d6; --on-accent: #fff; --good: #14804a; --wait: #96690a; --bad: #c0262d; --code: #f1f3f6;
  --mono: ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #12151b; --card: #1a1f27; --line: #2d3541; --text: #e5e9f0; --soft: #98a3b3; --field: #141920;
    --accent: #9da3ff; --on-accent: #14143a; --good: #4cc38a; --wait: #e3b341; --bad: #ff7b72; --code: #222934;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, 'Segoe UI', sans-serif; }
header, main { max-width: 76rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; gap: .5rem 1rem; align-items: center; padding-block: 1.4rem 1rem; }
h1 { margin: 0; font-size: 1.3rem; letter-spacing: -.01em; }
header p { margin: 0; color: var(--soft); flex: 1 1 12rem; }
h2 { margin: 0 0 .7rem; font-size: .95rem; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.1rem; min-width: 0; }
main { display: grid; gap: 1rem; padding-bottom: 3rem;
  grid-template: 'channels' 'send' 'events' 'connection' 'terminal' / minmax(0, 1fr); }
@media (min-width: 60rem) {
  main { grid-template: 'channels events' 'send events' 'connection events' 'terminal events' 1fr / 25rem minmax(0, 1fr);
    align-items: start; }
  #events { min-height: 100%; }
}
#channels { grid-area: channels; } #send { grid-area: send; } #events { grid-area: events; }
#connection { grid-area: connection; } #terminal { grid-area: terminal; }

label, h3 { display: block; margin: .6rem 0 .2rem; font-size: .85rem; font-weight: 400; color: var(--soft); }
input, textarea { width: 100%; padding: .5rem .6rem; font: inherit; color: inherit; background: var(--field);
  border: 1px solid var(--line); border-radius: 8px; }
textarea { font: 13px/1.5 var(--mono); resize: vertical; min-height: 4.6rem; display: block; }
button { font: inherit; color: inherit; background: none; border: 1px solid var(--line); border-radius: 8px; padding: .45rem .8rem; cursor: pointer; }
button:hover { border-color: var(--soft); }
button.main { background: var(--accent); border-color: var(--accent); color: var(--on-accent); font-weight: 600; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
.row { display: flex; gap: .5rem; align-items: center; }
.row > input { flex: 1; min-width: 0; }
#publish .row { margin-top: .8rem; } #publish .hint { margin: 0; }
#events .row { justify-content: space-between; align-items: baseline; min-height: 2rem; }
#clear { padding: .1rem .6rem; font-size: .85rem; }
.hint, .empty { color: var(--soft); font-size: .88rem; margin: .6rem 0 0; overflow-wrap: anywhere; }
.bad { color: var(--bad); } .good { color: var(--good); }

.pill { display: inline-flex; align-items: center; gap: .5rem; padding: .25rem .8rem; border: 1px solid var(--line);
  border-radius: 99px; background: var(--card); font-weight: 600; font-size: .9rem; }
.pill::before { content: ''; width: .6rem; height: .6rem; border-radius: 50%; background: var(--wait); }
[data-phase=open]::before { background: var(--good); }
[data-phase=refused]::before { background: var(--bad); }
[data-phase=connecting]::before, [data-phase=reconnecting]::before { animation: pulse 1s ease-in-out infinite alternate; }
@keyframes pulse { to { opacity: .25; } }
@media (prefers-reduced-motion: reduce) { .pill::before { animation: none !important; } }

ul, ol { list-style: none; margin: 0; padding: 0; }
#chosen { display: flex; flex-wrap: wrap; gap: .4rem; margin-bottom: .7rem; }
#chosen:empty { display: none; }
#chosen li { display: flex; gap: .35rem; align-items: center; max-width: 100%; padding: .1rem .15rem .1rem .6rem;
  border: 1px solid var(--line); border-radius: 99px; font-size: .88rem; }
#chosen span { overflow-wrap: anywhere; min-width: 0; }
#chosen em { font-style: normal; color: var(--wait); flex: none; }
#chosen [data-state=listening] em { color: var(--good); }
#chosen [data-state=denied] em, #chosen [data-state=revoked] em { color: var(--bad); }
#chosen button { border: 0; padding: 0 .5rem; color: var(--soft); }

dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .3rem 1rem; margin: .8rem 0 0; font-size: .88rem; }
dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
#says { margin: 0; overflow-wrap: anywhere; }
#again { margin-top: .6rem; }

pre { margin: 0; font: 13px/1.5 var(--mono); white-space: pre-wrap; overflow-wrap: anywhere; }
.command { position: relative; margin-top: .3rem; }
.command pre { background: var(--code); border-radius: 8px; padding: .6rem 4.2rem .6rem .7rem; }
.command button { position: absolute; top: .35rem; right: .35rem; padding: .1rem .5rem; font-size: .8rem; background: var(--card); }

#list li { border-top: 1px solid var(--line); padding: .65rem 0; }
#list li:first-child { border-top: 0; }
#list .head { display: flex; flex-wrap: wrap; gap: .15rem .7rem; align-items: baseline; }
#list b { overflow-wrap: anywhere; min-width: 0; }
#list .channel { color: var(--accent); font-size: .88rem; overflow-wrap: anywhere; min-width: 0; }
#list .from { color: var(--soft); font-size: .88rem; overflow-wrap: anywhere; min-width: 0; }
#list time { margin-left: auto; white-space: nowrap; color: var(--soft); font-size: .82rem; font-variant-numeric: tabular-nums; }
#list pre { margin-top: .3rem; background: var(--code); border-radius: 8px; padding: .5rem .7rem; max-height: 22rem; overflow: auto; }
#list .id { margin: .25rem 0 0; font: 12px var(--mono); color: var(--soft); overflow-wrap: anywhere; }
#list .note { font-size: .9rem; color: var(--soft); }
#list .note .head { flex-wrap: nowrap; }
#list .note span { overflow-wrap: anywhere; min-width: 0; border-left: 3px solid var(--line); padding-left: .6rem; }
#list .warn span { border-color: var(--wait); color: var(--text); } #list .refusal span { border-color: var(--bad); color: var(--text); }
.empty { text-align: center; padding: 2.5rem 1rem; margin: 0; } .empty strong { display: block; color: var(--text); font-size: 1rem; }
[hidden] { display: none !important; }
`

/** Nothing but this style and this script; they talk to this gateway alone, and no text becomes markup. */
export const TRY_IT_POLICY = [
  "default-src 'none'",
  `style-src '${sha256(STYLE)}'`,
  `script-src '${sha256(TRY_IT_SCRIPT)}'`,
  "connect-src 'self'",
  'img-src data:',
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
].join('; ')

/** The try-it page. It brings everything with it and asks nobody else. */
export function tryItPage({ whyNoForm, publishFlags }: TryItPage): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Laravel Echo SSE</title>
<link rel="icon" href="data:,">
<style>${STYLE}</style>
</head>
<body>
<header>
  <h1>Laravel Echo SSE</h1>
  <p>Broadcasts as they arrive, over plain HTTP.</p>
  <span class="pill" id="phase" data-phase="connecting" role="status">Connecting</span>
</header>
<main>
  <section id="channels">
    <h2>Channels</h2>
    <ul id="chosen"></ul>
    <form id="choose" class="row">
      <input id="name" aria-label="Channels to listen to" placeholder="orders, private-invoices.1" autocomplete="off" autocapitalize="off" spellcheck="false">
      <button>Listen</button>
    </form>
    <p class="hint">Public names are open to everybody; about <code>private-…</code> and <code>presence-…</code> Laravel is asked.</p>
  </section>

  <section id="send">
    <h2>Send an event</h2>
    ${whyNoForm === null ? FORM : `<p class="hint" id="no-form">${escapeHtml(whyNoForm)}</p>`}
  </section>

  <section id="events">
    <div class="row"><h2>Events</h2><button id="clear" hidden>Clear</button></div>
    <div class="empty" id="empty">
      <strong>Nothing has arrived yet.</strong>
      ${whyNoForm === null ? 'Send an event with the form' : 'Run the publish line in a terminal'}, or broadcast one from Laravel
      on one of the channels that are listened to. It appears here as it arrives.
    </div>
    <ol id="list"></ol>
  </section>

  <section id="connection">
    <h2>Connection</h2>
    <p id="says">Connecting…</p>
    <button id="again" hidden>Try again</button>
    <dl>
      <dt>since</dt><dd id="since">–</dd>
      <dt>transport</dt><dd id="transport">–</dd>
      <dt>socket id</dt><dd id="socket-id">–</dd>
      <dt>last id</dt><dd id="last-id">–</dd>
      <dt>last ping</dt><dd id="last-ping">–</dd>
    </dl>
  </section>

  <section id="terminal">
    <h2>The same in a terminal</h2>
    <h3>Listen</h3>
    <div class="command"><pre id="curl"></pre><button>Copy</button></div>
    <p class="hint" id="curl-hint" hidden>Private channels need a login as well: add <code>-H 'Authorization: Bearer …'</code> or <code>-H 'Cookie: …'</code>.</p>
    ${publishFlags === null ? '' : publishLine(publishFlags)}
  </section>
</main>
<script>${TRY_IT_SCRIPT}</script>
</body>
</html>
`
}

const FORM = `<form id="publish">
      <label for="channel">Channel</label>
      <input id="channel" value="orders" autocomplete="off" autocapitalize="off" spellcheck="false">
      <label for="event">Event</label>
      <input id="event" value="OrderShipped" autocomplete="off" autocapitalize="off" spellcheck="false">
      <label for="data">Data, as JSON</label>
      <textarea id="data" rows="3" spellcheck="false">{"id":1,"status":"shipped"}</textarea>
      <div class="row"><button class="main">Send</button><p class="hint" id="result" role="status"></p></div>
    </form>`

function publishLine(flags: string): string {
  return `<h3>Publish</h3>
    <div class="command"><pre id="command" data-flags="${escapeHtml(flags)}"></pre><button>Copy</button></div>`
}

function escapeHtml(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`)
}

function sha256(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`
}
