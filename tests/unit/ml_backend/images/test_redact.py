"""What people see of a reference."""

from hypothesis import given
from hypothesis import strategies as st

from ml_backend.images import redact
from ml_backend.images.redact import MAX_SHOWN


def test_signatures_and_user_names_are_cut_out() -> None:
    assert redact("https://u:p@h.example/a.png?sig=S#f") == "https://h.example/a.png?…"
    assert redact("/tasks/7/resolve/?fileuri=Z3M6") == "/tasks/7/resolve/?…"
    assert redact("https://h.example/a.png#f") == "https://h.example/a.png?…"


def test_what_names_the_file_stays() -> None:
    assert redact("gs://bucket/x?y#z") == "gs://bucket/x?y#z"
    assert redact("/data/upload/1/a.png") == "/data/upload/1/a.png"
    local = "http://ls.example/data/local-files/?d=sub/a%20b.jpg"
    assert redact(f"{local}&token=S") == local


def test_data_uris_are_cut_to_their_type() -> None:
    assert redact("data:image/png;base64,AAAA") == "data:image/png;base64,… (26 characters)"
    assert "AAAA" not in redact("data:" + "A" * 35 + "," + "AAAA")[40:]


@given(st.text())
def test_no_description_is_long_or_breaks_a_log_line(reference: str) -> None:
    shown = redact(reference)
    assert len(shown) <= MAX_SHOWN + 1
    assert shown.isprintable()


queries = st.text(st.sampled_from("abcXYZ019&=%-_./:@?#"), max_size=30)


@given(st.sampled_from(["http", "https"]), queries)
def test_no_query_is_ever_shown(scheme: str, query: str) -> None:
    assert "S3CRET" not in redact(f"{scheme}://h.example/a.png?{query}S3CRET{query}")
    assert "S3CRET" not in redact(f"{scheme}://user:S3CRET@h.example/a.png?{query}")
