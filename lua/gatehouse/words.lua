-- The texts of the edge's pages, by language, and their stylesheet with its hash:
-- made by `make words` from authsvc/internal/page. A language is added there.

return {
    style = [==[:root { color-scheme: light dark; --ink: #1b1f24; --quiet: #57606a; --paper: #ffffff; --line: #d0d7de; --wash: #f6f8fa; --act: #0b57d0; --on-act: #ffffff; --stop: #b3261e; --on-stop: #ffffff; --warn: #8a5a00; --good: #1a6b34; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --quiet: #9aa4af; --paper: #0d1117; --line: #30363d; --wash: #161b22; --act: #8ab4f8; --on-act: #0d1117; --stop: #ffb4ab; --on-stop: #4a0a05; --warn: #e3b341; --good: #7ee2a8; } }
* { box-sizing: border-box; }
body { margin: 0; font: 1rem/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); overflow-wrap: anywhere; }
header, main { max-width: 52rem; margin: 0 auto; padding: 1rem; }
header { display: flex; justify-content: space-between; align-items: center; gap: 1rem; }
header ul { list-style: none; display: flex; gap: .75rem; margin: 0; padding: 0; }
header li > * { display: inline-block; padding: .25rem 0; }
.brand { font-weight: 700; color: inherit; text-decoration: none; }
h1 { font-size: 1.6rem; line-height: 1.2; }
h2 { font-size: 1.2rem; margin-top: 2rem; border-top: 1px solid var(--line); padding-top: 1rem; }
h3 { font-size: 1rem; margin: 1.5rem 0 .5rem; }
li > h3 { margin: 0 0 .5rem; }
a { color: var(--act); }
dl { display: grid; grid-template-columns: minmax(4rem, max-content) 1fr; gap: .25rem 1rem; }
dt { color: var(--quiet); }
dd { margin: 0; }
ul.roles, ul.cards { list-style: none; margin: 0; padding: 0; }
ul.roles { display: flex; flex-wrap: wrap; gap: .25rem; }
ul.roles li, .tag { display: inline-block; background: var(--wash); border: 1px solid var(--line); border-radius: 1rem; padding: 0 .6rem; font-size: .9rem; font-weight: 400; }
ul.cards > li { border: 1px solid var(--line); border-radius: .5rem; padding: .75rem 1rem; margin-bottom: .75rem; }
ul.cards > li.chosen { border-color: var(--act); }
ul.cards p { margin: 0 0 .5rem; }
.quiet { color: var(--quiet); font-size: .9rem; }
.warn { border-left: .25rem solid var(--warn); padding-left: 1rem; }
.done { border-left: .25rem solid var(--good); padding: .5rem 1rem; background: var(--wash); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
pre { background: var(--wash); border: 1px solid var(--line); border-radius: .5rem; padding: .75rem; white-space: pre-wrap; user-select: all; margin: .25rem 0; }
.copied code { user-select: all; }
details > summary { cursor: pointer; min-height: 2.75rem; padding: .6rem 0; }
.program { border: 1px solid var(--line); border-radius: .5rem; padding: 0 1rem; margin-bottom: .5rem; }
.program > summary { font-weight: 600; }
button, a.button, .confirm > summary { display: inline-block; font: inherit; min-height: 2.75rem; padding: .5rem 1rem; border: 1px solid transparent; border-radius: .5rem; background: var(--act); color: var(--on-act); text-decoration: none; cursor: pointer; }
button[hidden] { display: none; }
button.plain { background: var(--wash); color: var(--ink); border-color: var(--line); }
.confirm > summary { background: var(--paper); color: var(--stop); border-color: var(--stop); list-style: none; }
.confirm > summary::-webkit-details-marker { display: none; }
.confirm > form { border-left: .25rem solid var(--stop); padding: .5rem 1rem; margin-top: .5rem; }
button.danger { background: var(--stop); color: var(--on-stop); }
.acts { display: flex; flex-wrap: wrap; gap: 1rem; align-items: flex-start; }
input { font: inherit; min-height: 2.75rem; max-width: 100%; padding: .5rem; color: inherit; background: var(--paper); border: 1px solid var(--quiet); border-radius: .5rem; }
:focus-visible { outline: 3px solid var(--act); outline-offset: 2px; }
]==],
    style_hash = "sha256-JLlQI5ZZhmJOqRJERkJfFrs/1QxlNzg/9sTSZGUG4Xo=",
    languages = {
        en = {
            ["403.now"] = "If you should have it, ask whoever runs this gate.",
            ["403.title"] = "This is not open to you",
            ["403.what"] = "You are signed in, or do not have to be, but what you asked for is not for you.",
            ["404.now"] = "Look at the address for a typing error, or begin at the first page.",
            ["404.title"] = "There is nothing at this address",
            ["404.what"] = "The gate is there, but it has no page of this name.",
            ["421.now"] = "Use the address that you were given. Whoever runs this gate sets its name in nginx's site/names.conf.",
            ["421.title"] = "This gate does not answer to that host name",
            ["421.what"] = "The address leads to this machine, but its host name is not the gate's.",
            ["429.now"] = "Wait a few seconds and load the page again.",
            ["429.title"] = "Too many requests",
            ["429.what"] = "More requests came from your network, or from you, than this gate takes at once.",
            ["503.now"] = "Wait a few seconds and load the page again. If it stays so, tell whoever runs this gate.",
            ["503.title"] = "The gate cannot answer right now",
            ["503.what"] = "A part of it is out of reach. You are still signed in.",
            ["home"] = "To the first page",
            ["frame.ask"] = "If you ask for help, name this request:",
        },
        ko = {
            ["403.now"] = "권한이 필요하면 이 게이트의 관리자에게 요청하세요.",
            ["403.title"] = "이용할 수 없습니다",
            ["403.what"] = "로그인했거나 로그인이 필요 없는 곳이지만, 요청한 것을 이용할 권한이 없습니다.",
            ["404.now"] = "주소를 잘못 입력했는지 확인하거나, 첫 페이지에서 시작하세요.",
            ["404.title"] = "이 주소에는 아무것도 없습니다",
            ["404.what"] = "게이트는 있지만 이런 이름의 페이지가 없습니다.",
            ["421.now"] = "안내받은 주소를 쓰세요. 게이트의 이름은 관리자가 nginx의 site/names.conf에 정합니다.",
            ["421.title"] = "이 게이트의 호스트 이름이 아닙니다",
            ["421.what"] = "이 주소는 이 컴퓨터로 이어지지만, 호스트 이름이 게이트의 것이 아닙니다.",
            ["429.now"] = "몇 초 기다린 다음 페이지를 다시 불러오세요.",
            ["429.title"] = "요청이 너무 많습니다",
            ["429.what"] = "사용자 또는 사용자의 네트워크에서 이 게이트가 한 번에 받는 것보다 많은 요청이 왔습니다.",
            ["503.now"] = "몇 초 기다린 다음 페이지를 다시 불러오세요. 계속되면 이 게이트의 관리자에게 알려 주세요.",
            ["503.title"] = "지금은 게이트가 응답할 수 없습니다",
            ["503.what"] = "구성 요소 하나에 연결할 수 없습니다. 로그인은 유지되고 있습니다.",
            ["home"] = "첫 페이지로",
            ["frame.ask"] = "도움을 요청할 때 이 요청 번호를 알려 주세요:",
        },
    },
}
