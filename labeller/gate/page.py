"""The sign-in page: one file of HTML that asks for nothing else."""

from __future__ import annotations

from html import escape

_TEXT = """Open the link that the server printed when it started. It works once.
For another one, run <code>labeller login</code> on the machine of the server."""
_REFUSED = "This code is not good: it was used already, is too old, or was mistyped."
_ENDED = "You are signed out on this browser."
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Sign in</title>
<style>
:root {{ --text: #171b26; --quiet: #5b6478; --page: #f2f4f9; --card: #fff; --line: #d9deea;
  --button: #3d4fd6; --bad: #a3282c; }}
@media (prefers-color-scheme: dark) {{ :root {{ --text: #e8ebf4; --quiet: #a7afc2; --page: #10131b;
  --card: #1b202d; --line: #323a4d; --button: #5468f0; --bad: #ff9a94; }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--page); color: var(--text);
  font: 1rem/1.5 "Source Sans 3", "Source Sans Pro", system-ui, sans-serif; }}
main {{ width: min(26rem, 100%); background: var(--card); border: 1px solid var(--line);
  border-radius: .75rem; padding: 2rem; }}
h1 {{ font-size: 1.4rem; margin: 0 0 .75rem; }}
p {{ margin: 0 0 1rem; color: var(--quiet); }}
p.bad {{ color: var(--bad); }}
code {{ font-size: .9em; color: var(--text); }}
label {{ display: block; font-weight: 600; margin-bottom: .35rem; }}
input {{ width: 100%; padding: .6rem .7rem; border: 1px solid var(--line); border-radius: .5rem;
  background: var(--page); color: var(--text); font: inherit; }}
button {{ width: 100%; margin-top: 1rem; padding: .65rem; border: 0; border-radius: .5rem;
  background: var(--button); color: #fff; font: inherit; font-weight: 600; cursor: pointer; }}
input:focus-visible, button:focus-visible {{ outline: 3px solid var(--button);
  outline-offset: 2px; }}
</style>
</head>
<body>
<main>
<h1>Sign in to label</h1>
{notice}<p>{text}</p>
<form method="post" action="{action}">
<label for="code">Code at the end of the link</label>
<input id="code" name="code" autocomplete="off" autocapitalize="off" spellcheck="false" required
 autofocus>
<button type="submit">Sign in</button>
</form>
</main>
</body>
</html>
"""


def sign_in_page(base: str = "", refused: bool = False, ended: bool = False) -> str:
    """Return the page.

    Parameters
    ----------
    base : str
        Path that all pages of the server lie under.
    refused : bool
        Whether a code was just refused.
    ended : bool
        Whether the person has just signed out.
    """
    notice = ""
    if refused:
        notice = f'<p class="bad" role="alert">{_REFUSED}</p>\n'
    elif ended:
        notice = f'<p role="status">{_ENDED}</p>\n'
    return _PAGE.format(notice=notice, text=_TEXT, action=escape(f"{base}/sign-in"))
