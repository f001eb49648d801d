"""Render a workflow run: how it ended, its phases and its result."""

import re

from markupsafe import Markup

from cclake_web.data.blocks import Call, Run
from cclake_web.formatting import plural, squeeze
from cclake_web.render.arguments import arguments, result, structured
from cclake_web.render.markdown import markdown
from cclake_web.render.safe import plain
from cclake_web.render.view import Fields, View, objects_in, text_in

LONGEST = 100_000  # maximum characters of a result
_NAME = re.compile(r"\bname:\s*['\"]([^'\"\n]{1,200})['\"]")
MOST = 60  # maximum number of phases


def workflow(call: Call, given: Fields) -> View:
    """Return the call that starts a workflow: its name, or its script."""
    name = squeeze(text_in(given, "name", "workflow", "description"), 120)
    script = _NAME.search(text_in(given, "script")[:4000])
    name = name or (squeeze(script[1], 120) if script else "")
    body = arguments({key: value for key, value in given.items() if key != "name"})
    run = call.run
    if run is None:
        return View("fork", "Workflow", name, body + result(call))
    body += Markup('<p class="quiet">{}</p>').format(plain(" · ".join(facts(run))))
    if shown := result_of_run(run):
        made = Markup('<div class="run-result"><p class="who">Result</p>{}</div>')
        body += made.format(shown)
    return View("fork", "Workflow", name or squeeze(run.name, 120), body)


def facts(run: Run) -> list[str]:
    """Return how a run ended, its agents and tokens, and its phases, in words."""
    phases = objects_in({"phases": run.phases}, "phases")[:MOST]
    titles = ", ".join(filter(None, (text_in(one, "title") for one in phases)))
    agents = len(run.agents) or run.reported
    return list(
        filter(
            None,
            [
                squeeze(run.status.replace("_", " "), 40),
                plural(agents, "agent") if agents else "",
                plural(run.tokens, "token") if run.tokens else "",
                f"phases: {squeeze(titles, 200)}" if titles else "",
            ],
        )
    )


def result_of_run(run: Run) -> Markup:
    """Return the result of a run: Markdown, or formatted JSON."""
    text = run.result.strip()
    if not text:
        return Markup("")
    shown = structured(text)
    if shown is None:
        shown = Markup('<div class="md">{}</div>').format(markdown(text[:LONGEST]))
    if len(text) > LONGEST:
        left = Markup('<p class="cut">{} more</p>')
        shown += left.format(plain(plural(len(text) - LONGEST, "character")))
    return shown
