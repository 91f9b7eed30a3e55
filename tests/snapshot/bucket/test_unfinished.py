"""Large files are multipart uploads, each of which is completed or aborted (F58, F100, F101)."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import anyio
import pytest

from crawler.errors import OutputError
from crawler.snapshot.bucket.notes import clean_up_others
from crawler.snapshot.bucket.preflight import check_bucket
from crawler.snapshot.bucket.unfinished import begun_upload
from crawler.snapshot.bucket.uploads import Uploads
from crawler.snapshot.layout import part_path, staged
from crawler.snapshot.manifest import PartFile
from tests.support.snapshot_fakes import NEW, OLD, START

PATH = part_path("fc_functions", NEW, 0, "0123abcd")
CONTENT = random.Random(7).randbytes(3 * 4096 + 100)
LATER = timedelta(days=1, hours=1)


@pytest.fixture
def small_pieces(monkeypatch):
    """A file of more than a page of memory is sent in pieces of a page."""
    monkeypatch.setattr("crawler.snapshot.bucket.uploads._LARGEST_PUT_BYTES", 4096)
    monkeypatch.setattr("crawler.snapshot.bucket.uploads._PIECE_BYTES", 4096)


def staged_file(scratch, path=PATH, content=CONTENT) -> PartFile:
    place = scratch / staged(NEW, path)
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return PartFile(path=path, rows=1, bytes=len(content), sha256="0" * 64)


async def send(fake, scratch):
    uploads = Uploads(fake.bucket(), scratch, NEW)
    await uploads.send([staged_file(scratch)])
    return uploads


def stored(fake, path=PATH):
    found = fake.fake.objects.get(f"lake/x/{path}")
    return found[0] if found else None


def notes(fake):
    return [key for key in fake.fake.objects if "/_staging/uploads/" in key]


def sent(fake, text):
    return [line for line in fake.fake.requests if text in line]


@pytest.mark.usefixtures("small_pieces")
async def test_a_large_file_is_one_object_and_leaves_neither_upload_nor_note(fake, tmp_path):
    """F58"""
    await send(fake, tmp_path)
    assert stored(fake) == CONTENT
    assert len(sent(fake, "?partNumber")) == 4
    assert (fake.fake.uploads, notes(fake)) == ({}, [])
    assert not (tmp_path / staged(NEW, PATH)).exists()


async def test_a_small_file_is_one_put(fake, tmp_path):
    await send(fake, tmp_path)
    assert fake.fake.requests == [f"PUT lake/x/{PATH}"]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", ["refuse", "break", "error", "lose"])
async def test_whichever_step_fails_the_upload_is_aborted_or_completed(fake, tmp_path, kind):
    """F100: at each request, once for all its attempts; on OSS an upload whose answer was lost has no piece."""
    await send(fake, tmp_path)
    store, steps = fake.fake, len(fake.fake.requests)
    assert steps >= 6
    said = []
    for k in range(1, steps + 1):
        store.objects, store.requests, broken = {}, [], []

        def fault(number, method, key, k=k, broken=broken):
            if number == k:
                broken.append(store.requests[-1])
            return kind if broken and store.requests[-1] == broken[0] else None

        store.fault = fault
        try:
            uploads = await send(fake, tmp_path)
        except OutputError as error:
            said.append(str(error))
            assert stored(fake) is None, k
            uploads = Uploads(fake.bucket(), tmp_path, NEW)
            uploads.paths.add(PATH)
            uploads._has_begun_uploads = True
        else:
            assert stored(fake) == CONTENT, k
        store.fault = lambda number, method, key: None
        await uploads.end()
        if store.kind == "oss" and broken[0].endswith("?uploads"):
            assert not any(parts for _, _, parts in store.uploads.values())
            store.uploads.clear()
        assert store.uploads == {}, (k, broken)
    assert said
    assert all(text.startswith("can't write") for text in said)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("kind", ["lose", "error"])
async def test_an_answer_to_the_completion_that_was_lost_is_looked_up(fake, tmp_path, kind):
    """F101: the second attempt is refused with NoSuchUpload, and the object is there."""
    store = fake.fake

    def fault(number, method, key):
        is_completion = store.requests[-1].startswith("POST") and store.requests[-1].endswith("?uploadId")
        return kind if is_completion and len(sent(fake, "POST")) == 2 else None

    store.fault = fault
    await send(fake, tmp_path)
    assert len(sent(fake, "POST")) == 3
    assert stored(fake) == CONTENT
    assert (store.uploads, notes(fake)) == ({}, [])


@pytest.mark.usefixtures("small_pieces")
async def test_an_error_in_the_body_of_a_completion_is_an_error(fake, tmp_path):
    """F101: S3 answers 200 at once, and says later in the body how it ended."""
    store = fake.fake

    def fault(number, method, key):
        is_completion = store.requests[-1].startswith("POST") and store.requests[-1].endswith("?uploadId")
        return "refuse in the body" if is_completion else None

    store.fault = fault
    with pytest.raises(OutputError, match=r"can't write fc_functions/.*: the store answered 200 InternalError$"):
        await send(fake, tmp_path)
    assert len(sent(fake, "POST")) == 3, "begun once, and completed in vain twice"
    assert (stored(fake), store.uploads, notes(fake)) == (None, {}, [])


@pytest.mark.usefixtures("small_pieces")
async def test_an_object_of_another_size_is_no_completion(fake, tmp_path):
    """F101: another file of this name."""
    store = fake.fake

    def fault(number, method, key):
        if store.requests[-1].startswith("POST") and store.requests[-1].endswith("?uploadId"):
            store.put(key, CONTENT[:-1])
            return "break"
        return None

    store.fault = fault
    with pytest.raises(OutputError, match="doesn't answer"):
        await send(fake, tmp_path)
    assert store.uploads == {}


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("step", ["?partNumber", "?uploadId", "?uploads"])
async def test_a_cancelled_upload_is_aborted(fake, tmp_path, step):
    """F57, F100: also one whose ID isn't known yet, where the store lists uploads."""
    store = fake.fake

    def fault(number, method, key):
        return "hang" if method != "DELETE" and method != "GET" and store.requests[-1].endswith(step) else None

    store.fault = fault
    uploads = Uploads(fake.bucket(), tmp_path, NEW)
    with anyio.move_on_after(0.3) as scope:
        await uploads.send([staged_file(tmp_path)])
    assert scope.cancelled_caught
    await uploads.end()
    if (store.kind, step) == ("oss", "?uploads"):
        assert not any(parts for _, _, parts in store.uploads.values())
    else:
        assert store.uploads == {}
    assert notes(fake) == []


async def test_a_file_whose_upload_was_cancelled_is_sent_again(fake, tmp_path):
    """A crawl that reaches its deadline while it sends a part commits what there is."""
    store, file = fake.fake, staged_file(tmp_path)
    store.fault = lambda number, method, key: "hang"
    uploads = Uploads(fake.bucket(), tmp_path, NEW)
    with anyio.move_on_after(0.3) as deadline:
        await uploads.send([file])
    assert deadline.cancelled_caught
    store.fault = lambda number, method, key: None
    await uploads.send([file])
    assert stored(fake, file.path) == CONTENT
    number = len(store.requests)
    await uploads.send([file])
    assert len(store.requests) == number


@pytest.mark.usefixtures("small_pieces")
async def test_files_and_their_pieces_are_sent_side_by_side_and_bounded(fake, tmp_path):
    store, now, most = fake.fake, 0, 0
    real = store.answer

    async def answer(request):
        nonlocal now, most
        now += 1
        most = max(most, now)
        await anyio.sleep(0.01)
        try:
            return await real(request)
        finally:
            now -= 1

    store.answer = answer
    files = [staged_file(tmp_path, part_path("fc_functions", NEW, number, "0123abcd")) for number in range(6)]
    await Uploads(fake.bucket(), tmp_path, NEW).send(files)
    assert most <= 12, "eight requests, and one to begin or complete each of four files"
    assert {stored(fake, file.path) for file in files} == {CONTENT}


async def leave_upload(fake, path):
    """Begin an upload as a process does that is killed after its first piece."""
    upload = begun_upload(fake.bucket(), path)
    await (await upload.__aenter__()).send(1, CONTENT)
    return upload


async def test_uploads_of_a_killed_crawl_are_aborted_a_day_later(fake):
    """F58, F100: by the next crawl or `prune`; not those of the last day, and not those of other programs."""
    store = fake.fake
    old_path, now = part_path("fc_functions", OLD, 3, "0123abcd"), datetime.now(UTC)
    store.age = LATER
    foreign = ["fc_functions/backup.parquet", "else/where", f"{PATH}.bak"]
    left = [await leave_upload(fake, path) for path in (old_path, *foreign)]
    other = await fake.bucket().begin_upload("_iceberg/x")
    store.uploads["beside"] = f"lake/xy/{old_path}", now - LATER, {1: b"data"}
    store.age = timedelta()
    left.append(await leave_upload(fake, PATH))
    await clean_up_others(fake.bucket(), now)
    kept = {key for key, _, _ in store.uploads.values()}
    assert kept == {f"lake/x/{path}" for path in (*foreign, PATH, "_iceberg/x")} | {f"lake/xy/{old_path}"}
    assert len(notes(fake)) == (1 if store.kind == "oss" else 0)
    assert other is not None
    await clean_up_others(fake.bucket(), now + LATER)
    assert f"lake/x/{PATH}" not in {key for key, _, _ in store.uploads.values()}
    assert notes(fake) == []


@pytest.mark.parametrize(
    "content", [b"", b"{}", b'{"path":"a","upload_id":"\\u0000"}', b'{"path":"../x","upload_id":"i"}']
)
async def test_a_note_of_an_upload_that_is_none_ends_no_crawl(fake, content):
    """F75"""
    store = fake.fake
    store.age = LATER
    store.put("lake/x/_staging/uploads/0123", content)
    store.uploads["i"] = "lake/x/../x", START, {}
    await clean_up_others(fake.bucket(), datetime.now(UTC))
    assert notes(fake) == []
    assert list(store.uploads) == ["i"]


@pytest.mark.parametrize(("method", "action"), [("DELETE", "?uploadId"), ("GET", "?uploads"), ("POST", "?uploads")])
async def test_a_key_that_cannot_end_an_upload_is_refused_before_a_crawl(fake, method, action):
    """F102: the sentence has the names of the permissions."""
    store = fake.fake
    store.fault = lambda number, got, key: "refuse" if got == method and store.requests[-1].endswith(action) else None
    if (store.kind, method) == ("oss", "GET"):
        await check_bucket(fake.bucket())
        return
    with pytest.raises(OutputError, match=r"403 AccessDenied; the key needs .*AbortMultipartUpload.*MultipartUploads$"):
        await check_bucket(fake.bucket())
    assert not fake.fake.objects


async def test_preflight_leaves_no_upload(site):
    await check_bucket(site.bucket())
    if site.bucket().can_list_uploads:
        assert await site.bucket().unfinished_uploads() == []
    if site.fake is not None:
        assert site.fake.uploads == {}
