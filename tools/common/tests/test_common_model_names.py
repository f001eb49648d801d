import pytest
from cclake_common.model_names import short_name


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("claude-opus-4-7", "opus 4.7"),
        ("claude-sonnet-4", "sonnet 4"),
        ("claude-sonnet-4 (Bedrock us)", "sonnet 4 (Bedrock us)"),
        ("claude-3-5-sonnet", "sonnet 3.5"),
        ("claude-3-opus (Vertex)", "opus 3 (Vertex)"),
        ("glm-4.6", "glm-4.6"),
        ("<synthetic>", "<synthetic>"),
        ("", ""),
    ],
)
def test_a_model_is_called_as_people_say_it(name: str, short: str) -> None:
    assert short_name(name) == short
