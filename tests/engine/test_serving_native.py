"""recipes/tensorflow-serving rehearsed as a machine of the target's own CPU builds it: here that is amd64."""

import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from builders.model.deb_file import control_of
from tests.support.place import Place
from tests.support.serving import rehearsed, tree, upstream, words

UNREACHED = "https://upstream.invalid"


@pytest.mark.nightly
def test_built_natively_with_files_from_a_mirror_and_run(place: Place, tmp_path: Path) -> None:
    rehearsed(place, natively=True)
    with upstream(place.folder / "upstream", os.urandom(8).hex()) as hosts:
        mirrors = {f"{UNREACHED}/": f"{hosts.url}/"}  # of another scheme
        settings = {"maintainer": "Reef <reef@example.org>", "mirrors": mirrors}
        (place.folder / "reef.yml").write_text(yaml.safe_dump(settings))
        source = tree(place.folder / "tree", UNREACHED, hosts.nonce)
        output = place.run(*words(source, target="trixie/amd64", strategy="native"))
        assert hosts.asked == ["/tensorflow.tar"]
    assert "does not support mirrors" not in output
    assert re.search(r"Bazel ran [1-9]\d* actions", output)
    [deb] = (place.artifacts / "builds/tensorflow-serving/trixie-amd64").glob("tensorflow-model-server_*.deb")
    fields = control_of(deb)
    assert (fields["Version"], fields["Architecture"]) == ("1:2.16.1-1~deb13", "amd64")
    subprocess.run(["dpkg-deb", "-x", str(deb), str(tmp_path)], check=True)
    program = tmp_path / "usr/bin/tensorflow_model_server"
    told = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout
    assert told == "TensorFlow ModelServer: 2.16.1+dev.sha.no_git\nTensorFlow Library: 2.16.1\n"
