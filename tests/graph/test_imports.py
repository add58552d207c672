import gc

import pytest

from graph.imports import without_garbage_collection


def test_no_garbage_is_looked_for_while_modules_are_imported() -> None:
    assert gc.isenabled()
    with without_garbage_collection():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


def test_what_is_made_later_is_collected_as_ever() -> None:
    with without_garbage_collection():
        pass
    frozen = gc.get_freeze_count()
    with without_garbage_collection():
        kept = [[number] for number in range(1000)]
    assert len(kept) == 1000
    assert gc.get_freeze_count() <= frozen  # some may have gone since


def test_garbage_is_looked_for_again_when_an_import_fails() -> None:
    with pytest.raises(ImportError), without_garbage_collection():
        raise ImportError
    assert gc.isenabled()


def test_nobody_is_made_to_collect() -> None:
    gc.disable()
    try:
        with without_garbage_collection():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
