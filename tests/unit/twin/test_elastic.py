"""What `make elastic` keeps; its stories are played in tests/stacks and tests/twin."""

from twin import elastic


def test_the_first_stories_ever_find_no_folder_and_make_it(tmp_path, monkeypatch):
    def make_sample(path, **_shape):
        path.write_bytes(b"a video")
        return path

    monkeypatch.setattr(elastic, "make_sample", make_sample)
    folder = tmp_path / "build" / "elastic"

    assert elastic.play_all([], folder=folder, options=[], say=print)
    assert [path.name for path in (folder / "clip").iterdir()] == ["clip.mp4"]
