"""Models of the `transformers` library from local folders: nothing fetched, no pickle, no code."""

import contextlib
import io
from typing import Any

import torch  # noqa: TID253 - this module itself is imported where a model is opened


class CannotLoad(Exception):
    """The first line of what the library says; no text has been read yet that it could quote."""


def load_pretrained(kind: str, folder: str, dtype: torch.dtype, **options: Any) -> tuple[Any, Any]:
    """Tokenizer and model; `kind` is the library's class, as `AutoModelForCausalLM`.

    Raises CannotLoad where the library cannot, for whatever reason.
    """
    import transformers

    logging: Any = transformers.utils.logging  # without types
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    where = {"local_files_only": True, "trust_remote_code": False, **options}
    try:
        with contextlib.redirect_stderr(io.StringIO()):  # a bar that cannot be switched off
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, **where)
            model = getattr(transformers, kind).from_pretrained(
                folder, **where, use_safetensors=True, dtype=dtype
            )
    except Exception as error:
        lines = str(error).strip().splitlines() or ["it gives no reason"]
        raise CannotLoad(lines[0][:200]) from None
    return tokenizer, model
