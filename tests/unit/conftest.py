"""Thin objects for the tests of the oracle."""

import pytest

from thin_truth import PROPAGATORS, make_truth


@pytest.fixture(params=PROPAGATORS)
def propagator(request):
    return PROPAGATORS[request.param]


@pytest.fixture(params=[(1, 1), (2, 1), (3, 2)], ids=["1x1", "2x1", "3x2"])
def modes(request):
    return request.param


@pytest.fixture
def truth(propagator, modes):
    return make_truth(propagator, *modes)
