from pathlib import Path

import pytest

from model_export.datasets import DatasetError
from model_export.datasets.distinct import check_distinct, name_of
from model_export.evaluation import Options, evaluate
from service.inference.contract import Provenance
from tests.identity_net import identity_contract, write_identity_net
from tests.model_export.samples import write_mini_mias

pytestmark = pytest.mark.integration


def test_two_folders_of_one_name_are_refused_and_a_link_is_the_way_out(tmp_path: Path) -> None:
    for site in ("siteA", "siteB"):
        (tmp_path / site / "test").mkdir(parents=True)
    first, second = tmp_path / "siteA" / "test", tmp_path / "siteB" / "test"
    with pytest.raises(DatasetError, match="both called test") as refused:
        check_distinct([first, second])
    assert f"ln -s {second} siteB-test" in str(refused.value)
    link = tmp_path / "siteB-test"
    link.symlink_to(second)
    check_distinct([first, link])
    assert name_of(link) == "siteB-test"


def test_one_folder_by_two_names_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "own")
    for other in (tmp_path / "own", tmp_path / "link", tmp_path / "own" / ".." / "own"):
        with pytest.raises(DatasetError, match="are the same folder"):
            check_distinct([tmp_path / "own", other])


def test_a_folder_is_called_by_its_own_name_however_it_is_reached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own" / "images").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "own")
    assert name_of(Path()) == name_of(Path("images/..")) == name_of(Path("../own/")) == "own"


def test_evaluation_takes_no_set_twice_whether_external_or_not(tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_mini_mias(data / "mini-mias")
    (tmp_path / "other" / "mini-mias").mkdir(parents=True)
    known = Provenance(training_data=("none",), licence="", intended_use="", evaluation={})
    model = write_identity_net(tmp_path / "net.onnx", identity_contract(provenance=known))
    same, other = str(data / "mini-mias"), str(tmp_path / "other" / "mini-mias")
    for sources, externals, said in (
        ((), ("mini-mias", same), "are the same folder"),
        ((), ("mini-mias", other), "both called mini-mias"),
        (("mini-mias",), (same,), "are the same folder"),
        (("mini-mias",), (other,), "both called mini-mias"),
        (("mini-mias", "mini-mias"), (), "are the same folder"),
    ):
        with pytest.raises(DatasetError, match=said):
            evaluate(model, data, Options(sources=sources, external=externals, contrast=False))
