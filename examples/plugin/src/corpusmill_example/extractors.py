"""An extractor: the text of a page's <main> or <article>, as its author has marked it."""

from corpusmill.stages.sources.blocks import find_blocks, render
from corpusmill.stages.sources.extractors import Page


def main_element(page: Page) -> str:
    """All text of the first <main>, else of the first <article>, else of the page."""
    marked = (page.tree.find(f".//{tag}") for tag in ("main", "article"))
    root = next((element for element in marked if element is not None), page.tree)
    return render(find_blocks(root, all_text=True))
