"""DVC's cache stays while something that stays has its content there."""

import pytest

from pipelines.cleaning.cache_links import check_cache_unused


@pytest.fixture
def project(tmp_path):
    content = tmp_path / ".dvc" / "cache" / "files" / "md5" / "ab" / "cd"
    content.parent.mkdir(parents=True)
    content.write_text("weights")
    (tmp_path / "outputs" / "ema").mkdir(parents=True)
    (tmp_path / "outputs" / "ema" / "0.1.safetensors").symlink_to(content)
    return tmp_path


def test_links_into_it_keep_it_unless_they_go_too(project):
    with pytest.raises(ValueError, match=r"'outputs/ema/0\.1\.safetensors' would lose the content"):
        check_cache_unused(project, [project / ".dvc" / "cache", project / "reports"])
    check_cache_unused(project, [project / ".dvc" / "cache", project / "outputs"])


def test_data_of_the_users_own_keeps_it(project):
    """As after `dvc add photos`: a link to it, or it is not checked out at all."""
    everything = [project / ".dvc" / "cache", project / "outputs"]
    (project / "photos.dvc").write_text("outs:\n- md5: abcd.dir\n  path: photos\n")
    with pytest.raises(ValueError, match="'photos' would lose the content"):
        check_cache_unused(project, everything)
    (project / "photos").mkdir()
    check_cache_unused(project, everything)
    (project / "photos" / "1.png").symlink_to(project / ".dvc" / "cache" / "files" / "md5")
    with pytest.raises(ValueError, match=r"'photos/1\.png' would lose the content"):
        check_cache_unused(project, everything)


def test_results_on_another_disk_keep_it(project, tmp_path_factory):
    disk = tmp_path_factory.mktemp("disk") / "outputs"
    (project / "outputs").rename(disk)
    (project / "outputs").symlink_to(disk)
    with pytest.raises(ValueError, match="'outputs/ema/"):
        check_cache_unused(project, [project / ".dvc" / "cache"])


def test_other_links_do_not_keep_it(project):
    (project / "data").symlink_to(project.parent)
    (project / "cache").mkdir()
    (project / "mine").symlink_to(project / "cache")
    check_cache_unused(project, [project / ".dvc" / "cache", project / "outputs"])
