"""``pointers``: no file of a package only stands for a file that is kept elsewhere."""

from builders.checks.static.contents import Contents
from builders.checks.verdict import judged
from builders.model.packages import Verdict

FIX = "fetch the files themselves where the build downloads them (git lfs pull, or another URL), and build again"


def check_pointers(contents: Contents) -> Verdict:
    """Judge files that are pointers of Git LFS or git-annex; a fetch step, Bazel or a prebuilt .deb may bring them."""
    faults = (
        f"{path}: a pointer of {pointer.program}" + (f" to a file of {pointer.size} bytes" if pointer.sha256 else "")
        for path, pointer in contents.pointers.items()
    )
    return judged("pointers", contents.deb.package, faults, FIX)
