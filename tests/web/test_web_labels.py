"""Give different things different labels."""

import re
from collections.abc import Iterator

import pytest
from cclake_web import formatting
from cclake_web.data.labels import distinct_labels, of_models, of_projects
from export import Export
from webface import Web, serving

DATED, GATEWAY = "claude-3-sonnet-20240229", "anthropic.claude-3-sonnet-20240229-v1:0"
PATHS = {"-home-me-web": "/home/me/web", "-srv-x-web": "/srv/x/web", "solo": "/solo"}


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    export = Export()
    for number, (project, path) in enumerate(PATHS.items()):
        model = (DATED, GATEWAY, "claude-opus-4-6")[number]
        session = export.session(f"s{number}", project=project, model=model)
        session.prompt("Go")
        session.answer("with all", cost=0.5 if number else None)
        session.answer("without a price", cost=None)
        session.answer("without counts", cost=None)
        export.rows["fct_api_responses"][-1]["input_tokens"] = None
        session.end()
        export.rows["dim_projects"][-1] |= {
            "project_path": path, "project_name": path.split("/")[-1]
        }  # fmt: skip
    folder = tmp_path_factory.mktemp("labels")
    export.write(folder / "exports" / "conversations.db")
    with serving(folder / "exports", folder / "log") as served:
        yield served


@pytest.mark.parametrize("page", ["/", "/dashboard?period=30", "/search"])
def test_options_of_one_name_show_more(web: Web, page: str) -> None:
    found = re.findall(
        r'<option value="([^"]*)">([^<]*) \(1\)</option>', web.get(page).text
    )
    assert dict(found) == {
        "-home-me-web": "me/web", "-srv-x-web": "x/web", "solo": "solo",
        DATED: "sonnet 3", GATEWAY: GATEWAY, "claude-opus-4-6": "opus 4.6",
    }  # fmt: skip


def test_responses_without_counts_are_not_called_unpriced(web: Web) -> None:
    both = "4 responses without a price, 3 responses logged without token counts"
    assert both in web.get("/dashboard?period=30").text
    assert f'title="Without {both}"' in web.get("/").text
    one = "1 response without a price, 1 response logged without token counts"
    assert f'title="Without {one}"' in web.get("/session/s1").text
    assert ">no price<" in web.get("/session/s0").text
    assert f'title="Without {one}"' in web.get("/?project=solo").text


def test_labels_are_the_shortest_that_tell_apart() -> None:
    assert distinct_labels({}) == {}
    assert of_models(["claude-opus-4-6"]) == {"claude-opus-4-6": "opus 4.6"}
    same = [("a", "web", "/x/y/web"), ("b", "web", "/z/y/web"), ("c", None, None)]
    assert of_projects(same) == {"a": "/x/y/web", "b": "/z/y/web", "c": "c"}
    assert of_projects([("a", "w", None), ("b", "w", None)]) == {"a": "a", "b": "b"}
    forms = {"1": ("x", "y", "1"), "2": ("x", "z", "2"), "3": ("y", "q", "3")}
    assert distinct_labels(forms) == {"1": "1", "2": "z", "3": "y"}
    assert formatting.missing(0, 2) == "2 responses logged without token counts"
    assert (formatting.missing(0, 0), formatting.no_cost(0)) == ("", "no usage")
