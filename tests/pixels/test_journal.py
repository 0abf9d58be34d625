from hypothesis import given
from hypothesis import strategies as st

from cxrbench.pixels.journal import Journal

RECORDS = st.lists(st.tuples(st.text(), st.integers(), st.integers()).map(list), min_size=1, max_size=5)


@given(RECORDS, RECORDS, st.integers(0, 10_000))
def test_cut_anywhere_it_keeps_what_stood_before_the_cut_and_takes_more(tmp_path_factory, first, more, cut):
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    journal = Journal(path)
    for record in first:
        journal.append([record])
    content = path.read_bytes()
    path.write_bytes(content[: cut % (len(content) + 1)])
    kept = list(journal.read())
    assert kept == first[: len(kept)]
    # Only the line that the cut went through may be missing.
    assert len(kept) >= path.read_bytes().count(b"\n\n")
    journal.append(more)
    assert list(journal.read()) == kept + more


@given(RECORDS, st.binary(min_size=1, max_size=300))
def test_garbage_is_as_if_it_were_not_there(tmp_path_factory, records, garbage):
    path = tmp_path_factory.mktemp("journal") / "a.journal"
    journal = Journal(path)
    journal.append(records)
    with path.open("ab") as file:
        file.write(garbage)
    journal.append(records)
    assert list(journal.read()) == records + records


def test_a_changed_byte_costs_the_record_that_it_is_in_and_no_other(tmp_path):
    journal = Journal(tmp_path / "a.journal")
    journal.append([[0, "first"], [1, "second"], [2, "third"]])
    content = (tmp_path / "a.journal").read_bytes()
    (tmp_path / "a.journal").write_bytes(content.replace(b"second", b"sekond"))
    assert list(journal.read()) == [[0, "first"], [2, "third"]]


def test_no_file_is_no_records(tmp_path):
    assert list(Journal(tmp_path / "a.journal").read()) == []
