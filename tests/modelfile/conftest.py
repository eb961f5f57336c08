import pytest
from modelfile_house import house


@pytest.fixture(scope="session")
def gate():
    with house() as one:
        yield one


@pytest.fixture(scope="session")
def weights():
    with house("weights") as one:
        yield one
