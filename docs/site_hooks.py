"""Links lead to the same place on the site as in the repository.

The pages of the repository's root are pages of the site too; README.md is its front page. Any other file that a page
links to goes onto the site as it is, under `repository/`.
"""

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parent.parent
PAGES = {"README.md": "index.md", "CONTRIBUTING.md": "CONTRIBUTING.md", "CHANGELOG.md": "CHANGELOG.md"}
_LINK = re.compile(r"(?<=\]\()([^)#:\s]+)")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and the files that pages link to."""
    for name, uri in PAGES.items():
        files.append(File.generated(config, uri, abs_src_path=str(ROOT / name)))
    for page in [*files.documentation_pages()]:
        for link in _LINK.findall(page.content_string):
            uri = _on_the_site(page, link)
            if uri.startswith("repository/") and files.get_file_from_path(uri) is None:
                source = ROOT / uri.removeprefix("repository/")
                if source.is_file():  # else the link stays broken, and `--strict` says so
                    files.append(File.generated(config, uri, abs_src_path=str(source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let each link lead to the file's place on the site."""
    here = posixpath.dirname(page.file.src_uri)
    return _LINK.sub(lambda link: posixpath.relpath(_on_the_site(page.file, link[1]), here or "."), markdown)


def _on_the_site(page: File, link: str) -> str:
    """The place on the site of what a page links to."""
    source = Path(page.abs_src_path).relative_to(ROOT).as_posix()
    target = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    if target in PAGES:
        return PAGES[target]
    return target.removeprefix("docs/") if target.startswith("docs/") else posixpath.join("repository", target)
