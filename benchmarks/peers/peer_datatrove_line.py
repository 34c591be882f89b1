"""datatrove: from web archives to tokens in one process, as FineWeb's own pipeline has it.

    python peer_datatrove_line.py ARCHIVES MODEL TOKENIZER WORK

ARCHIVES is a folder, MODEL the file of fastText's lid.176, TOKENIZER a tokenizer.json, WORK an
empty folder, where HF_ASSETS_CACHE should point, too: datatrove copies the model there. The blocks
are chained without the executor, which would start a process more, and documents stay in memory
between the passes instead of being written and read again: both spare datatrove work. Its extractor
keeps its child process. One JSON object is printed: CPU-seconds of start-up and of each step
(children included), and the documents that each step left.
"""

import json
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import trafilatura  # noqa: F401  (the extractor forks: its children need not import it each)
from datatrove.pipeline.dedup import minhash  # type: ignore[import-not-found]
from datatrove.pipeline.extractors import Trafilatura  # type: ignore[import-not-found]
from datatrove.pipeline.filters import (  # type: ignore[import-not-found]
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LanguageFilter,
)
from datatrove.pipeline.formatters import PIIFormatter  # type: ignore[import-not-found]
from datatrove.pipeline.readers import WarcReader  # type: ignore[import-not-found]
from datatrove.pipeline.tokens import DocumentTokenizer  # type: ignore[import-not-found]
from datatrove.utils.lid import FT176LID  # type: ignore[import-not-found]
from datatrove.utils.logging import logger  # type: ignore[import-not-found]

ARCHIVES, MODEL, TOKENIZER, WORK = sys.argv[1:5]

EXTRACTION_SECONDS = 20
"""Before a page is given up; datatrove's 1 s would lose pages on a busy machine."""

Documents = list[Any]


def spent() -> float:
    """CPU-seconds of this process and of the children that have ended."""
    whose = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    usages = map(resource.getrusage, whose)
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def chained(data: Iterable[Any] | None, *steps: Any) -> Documents:
    """The documents that come out of the steps."""
    for step in steps:
        data = step.run(data)
    return list(data or ())


def deduplicated(documents: Documents) -> Documents:
    """The four steps of MinHash with FineWeb's bands, which are the default."""
    config = minhash.MinhashConfig()
    signatures, pairs, removed = (f"{WORK}/{name}" for name in ("signatures", "pairs", "removed"))
    minhash.MinhashDedupSignature(signatures, config).run(iter(documents))
    search = minhash.MinhashDedupBuckets(signatures, pairs, config=config)
    for bucket in range(config.num_buckets):
        search.run(None, bucket, config.num_buckets)
    minhash.MinhashDedupCluster(pairs, removed, config).run(None, 0, 1)
    return chained(documents, minhash.MinhashDedupFilter(removed))


def encoded(documents: Documents) -> Documents:
    """Write the tokens."""
    tokens = DocumentTokenizer(
        f"{WORK}/tokens",
        tokenizer_name_or_path=TOKENIZER,
        eos_token="<|endoftext|>",
        shuffle_documents=False,
    )
    tokens.run(iter(documents))
    return documents


def main() -> None:
    """Do all steps and print."""
    logger.remove()
    FT176LID.MODEL_URL = MODEL
    work: dict[str, Callable[[Documents], Documents]] = {
        "ingest": lambda _: chained(
            None, WarcReader(ARCHIVES), Trafilatura(timeout=EXTRACTION_SECONDS)
        ),
        "language": lambda documents: chained(documents, LanguageFilter("en")),
        "heuristics": lambda documents: chained(
            documents,
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            C4QualityFilter(filter_no_terminal_punct=False),
            FineWebQualityFilter(),
        ),
        "deduplicate": deduplicated,
        "anonymize": lambda documents: chained(documents, PIIFormatter()),
        "tokenize": encoded,
    }
    steps = {"imports": {"cpu_seconds": spent(), "documents": 0}}
    documents: Documents = []
    for name, step in work.items():
        before = spent()
        documents = step(documents)
        steps[name] = {"cpu_seconds": spent() - before, "documents": len(documents)}
    tokens = sum(path.stat().st_size for path in Path(WORK, "tokens").glob("*.ds")) // 2
    kept = [document.metadata["url"] for document in documents]
    print(json.dumps({"steps": steps, "kept": kept, "tokens": tokens}))


if __name__ == "__main__":
    main()
