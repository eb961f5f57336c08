"""Names and places through Presidio: a real one where it is installed, and refusals without."""

import pytest

from sealwright.core.errors import Unavailable
from sealwright.kit.patterns import names


def test_the_largest_installed_model_of_the_language_is_taken():
    installed = ["de_core_news_lg", "en_core_web_sm", "en_core_web_md"]
    assert names.model_of(installed, "en") == "en_core_web_md"
    assert names.model_of(installed, "de") == "de_core_news_lg"
    assert names.model_of(["en_own"], "en") == "en_own"
    assert names.model_of(installed, "fr") == ""


def test_a_language_without_a_model_is_refused_and_nothing_is_fetched(monkeypatch):
    pytest.importorskip("presidio_analyzer", reason="Presidio is not installed")
    import socket

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("it went to the network")

    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    with pytest.raises(Unavailable, match="no language model"):
        names.finder("xx")


def test_a_real_presidio_finds_people_and_places_and_keeps_no_value(monkeypatch):
    pytest.importorskip("presidio_analyzer", reason="Presidio is not installed")
    spacy = pytest.importorskip("spacy", reason="spaCy is not installed")
    if not names.model_of(spacy.util.get_installed_models(), "en"):
        pytest.skip("no English model of spaCy is installed")
    import socket

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("it went to the network")

    monkeypatch.setattr(socket, "create_connection", refused)
    monkeypatch.setattr(socket.socket, "connect", refused)
    text = "Yesterday Angela Merkel met Barack Obama in Berlin. Card 4111 1111 1111 1111."
    found = list(names.finder()(text))
    said = {(match.kind, text[match.start : match.end]) for match in found}
    assert ("place", "Berlin") in said
    assert {kind for kind, _ in said} == {"person", "place"}
    assert any("Obama" in value for kind, value in said if kind == "person")
    assert "Obama" not in repr(found)
