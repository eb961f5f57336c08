import msgspec
import pytest

from sealwright.core import settings
from sealwright.core.errors import BadInput, BadSettings


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(BadSettings) as caught:
        settings.parse(text.encode())
    return caught.value.problems


def test_an_empty_file_is_the_solo_profile():
    assert settings.parse(b"").profile == "solo"


def test_an_unknown_key_is_refused_with_the_key_that_was_meant():
    assert problems('profil = "solo"') == ("$.profil: unknown key; did you mean 'profile'?",)


def test_every_problem_is_reported_at_once_with_its_path():
    text = """
    profile = "sol"
    [data.train]
    label = 3
    [stage.fit]
    cmd = ["python", 1]
    inputs = "train"
    [room]
    processes = true
    """
    found = problems(text)
    assert [line.split(":")[0] for line in found] == [
        "$.profile",
        "$.data.train.label",
        "$.data.train.path",
        "$.stage.fit.cmd[1]",
        "$.stage.fit.inputs",
        "$.room.processes",
    ]


def test_a_stage_that_reads_an_undeclared_dataset_is_refused():
    text = '[data.train]\npath="a.csv"\n[stage.fit]\ncmd=["x"]\ninputs=["trian"]'
    assert problems(text) == ("$.stage.fit.inputs[0]: no [data.trian]; did you mean 'train'?",)


def test_a_stage_may_read_what_another_stage_makes():
    text = """
    [stage.prepare]
    cmd = ["python", "prepare.py"]
    outputs = { clean = "data/clean.csv" }
    [stage.fit]
    cmd = ["python", "train.py"]
    inputs = ["clean"]
    """
    assert settings.parse(text.encode()).stage["fit"].inputs == ["clean"]


@pytest.mark.parametrize("text", ["[room]\nmemory='lots'", "[room]\ntime='soon'", "x = = 1"])
def test_nonsense_values_are_refused(text):
    assert problems(text)


def test_bytes_that_are_not_utf8_are_refused():
    with pytest.raises(BadSettings, match="1 problem"):
        settings.parse(b'profile = "\xff"')


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("2KiB", 2048), ("3 MiB", 3 << 20), ("8GiB", 8 << 30)]
)
def test_sizes_are_binary_units(text, size):
    assert settings.size_bytes(text) == size


@pytest.mark.parametrize("text", ["", "1GB", "-1", "1.5GiB", "1 s"])
def test_sizes_that_could_be_misread_are_refused(text):
    with pytest.raises(BadInput):
        settings.size_bytes(text)


def test_the_schema_names_every_top_level_key():
    schema = settings.json_schema()
    top = schema["$defs"]["Settings"]["properties"]
    assert set(top) == {field.name for field in msgspec.structs.fields(settings.Settings)}
    assert set(top) >= {"profile", "data", "stage", "room", "log", "egress", "zones", "secrets"}


def test_a_dataset_may_name_its_sensitivity_and_no_other_word_does():
    text = '[data.train]\npath="a.csv"\nsensitivity="{}"'
    read = settings.parse(text.format("sensitive").encode())
    assert read.data["train"].sensitivity == "sensitive"
    assert settings.parse(b'[data.train]\npath="a.csv"').data["train"].sensitivity == ""
    (problem,) = problems(text.format("secret"))
    assert problem.startswith("$.data.train.sensitivity: ")


def test_a_pace_is_pairs_of_whole_numbers_and_what_is_none_is_named():
    pace = "[serve]\ncells = 230\npace = [[250, 25], [499, 45], [997, 71]]"
    assert settings.parse(pace.encode()).serve.pace == [(250, 25), (499, 45), (997, 71)]
    assert problems("[serve]\npace = [[250, 25, 1], [499, 4.5], 7]") == (
        "$.serve.pace[0]: a list of 2 is wanted",
        "$.serve.pace[1][1]: int is wanted, not a float",
        "$.serve.pace[2]: a list of 2 is wanted",
    )
    assert problems("[serve]\npace = [[250, 25], [200, 45]]")[0].startswith("$.serve.pace[1]: bits")
