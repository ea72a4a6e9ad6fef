"""A bounded run of the fuzzers, the same every time."""

import pytest

from tests.fuzz import codec


@pytest.mark.parametrize("seed", range(4))
def test_spoiled_bytes_are_values_or_malformed_and_nothing_else(seed: int) -> None:
    assert codec.run(seed, lambda rounds: rounds < 500) == 500


def test_every_seed_of_the_corpus_is_taken_by_some_decoder() -> None:
    kinds = codec.targets()
    untaken = [data for data in codec.corpus() if codec.check_decoders(data, kinds) == 0]
    inner = {"Seen", "Clear", "Chunker", "SealedKey", "DeviceKeys", "WorkspaceInfo", "DeviceInfo", "ChangeRefusal"}
    assert len(untaken) <= len(inner)
