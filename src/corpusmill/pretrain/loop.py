"""The training loop, in the order in which it runs: settings, folder, model, steps, summary."""

import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from corpusmill import storage
from corpusmill.errors import RunError, UsageError

# Threads that wait sleep instead of spinning. It is read when torch is first imported. Beside one
# other busy process a run on two cores took 18 s with it and 70 s without.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
try:
    import torch
except ModuleNotFoundError:
    raise UsageError("training needs torch: pip install 'corpusmill[train]'") from None

from corpusmill.pretrain.board import require_tensorboard
from corpusmill.pretrain.checkpoint import list_checkpoints, remove_unfinished, resume
from corpusmill.pretrain.config import WATCHING, Settings, read_settings
from corpusmill.pretrain.cost import training_flops
from corpusmill.pretrain.device import deterministic, resolve
from corpusmill.pretrain.energy import EnergyMeter, require_codecarbon
from corpusmill.pretrain.evaluate import Evaluation, Held
from corpusmill.pretrain.folder import read_record, record_run
from corpusmill.pretrain.metrics import MetricsLog
from corpusmill.pretrain.model import Decoder, count_parameters
from corpusmill.pretrain.optimizer import build_optimizer, set_learning_rate
from corpusmill.pretrain.parallel import World, distribute, joined, per_process
from corpusmill.pretrain.peak import find_peak, peak_memory_bytes
from corpusmill.pretrain.saving import Saver
from corpusmill.pretrain.schedule import learning_rate
from corpusmill.pretrain.scoring import trained_vocabulary
from corpusmill.pretrain.start import find_start, load_start
from corpusmill.pretrain.step import Result, seed_step, take_step
from corpusmill.pretrain.stopping import StopRequest, stop_request
from corpusmill.tokenize.batches import TokenBatches
from corpusmill.tokenize.dataset import TokenDataset, prefetched
from corpusmill.tokenize.shards import unigram_entropy
from corpusmill.tokenize.splits import VALIDATION

ENTROPY_TOKENS = 1 << 30
"""A larger corpus is not read once more just to say its unigram entropy."""

CLASSES_TOLD = 12
"""Of a mixture, that a line names."""

PROGRESS_LINES = 20
"""Lines about the loss that a run says."""


def _nothing(_: str) -> None:
    """What the other processes say."""


def train(
    *,
    shards: str,
    out: str,
    config: str | None = None,
    overrides: Sequence[str] = (),
    echo: Callable[[str], None] = _nothing,
) -> dict[str, Any]:
    """Train a model on a folder of shards; the same call goes on with a run that was stopped.

    `config` is a YAML file of settings, `overrides` are `name=value`; `echo` gets each line for the
    user. Under torchrun every process calls it, and the first one speaks. Returns {steps,
    resumed_from, parameters, tokens, skipped, mean_loss_of_last_ten_steps, unigram_entropy,
    validation_loss, validation_bits_per_byte, compressed_bits_per_byte, mfu, peak_memory_bytes,
    energy_kwh_estimate, co2_kg_estimate}; losses are in nats per token, None where there is none.
    `compressed_bits_per_byte` is what gzip and xz need for the text that was evaluated.

    Raises UsageError, before anything is written, for settings that do not fit the shards or the
    folder; FolderBusy; RunError for damaged shards and for losses that are no numbers. On SIGTERM
    it saves what it has and raises KeyboardInterrupt. Where another process failed before this one
    it leaves by SystemExit.
    """
    with joined() as world:
        if not world.first:
            echo = _nothing
        settings = resolve(read_settings(config, overrides))
        _require_extras(settings)
        if settings.start is not None:
            settings = settings.model_copy(update={"start": os.path.abspath(settings.start)})
        world = world.on(settings.device)
        data = _data(shards, settings, world)
        with _folder(out, world):
            if world.first:
                record_run(
                    out,
                    settings,
                    shards,
                    data.split_tokens.manifest,
                    lambda: find_start(settings, data.split_tokens.manifest, echo),
                )
            world.wait()
            with deterministic(), _enough_memory():
                training = _Training(shards, out, settings, data, world, echo)
                with stop_request() as request:
                    return training.run(request)


def _require_extras(settings: Settings) -> None:
    """Before hours of work, not after."""
    if settings.tensorboard:
        require_tensorboard()
    if settings.energy:
        assert settings.country is not None
        require_codecarbon(settings.country)


def _finite(number: float) -> float | None:
    """As JSON has it: null for infinity and what is no number."""
    return number if math.isfinite(number) else None


def _measures(found: Mapping[str, Evaluation]) -> dict[str, dict[str, float | None]]:
    """Of each source or class, as a row of metrics has it."""
    return {
        name: {"loss": _finite(one.loss), "bits_per_byte": _finite(one.bits_per_byte)}
        for name, one in found.items()
    }


@contextmanager
def _enough_memory() -> Iterator[None]:
    """Raises RunError, with what helps, where torch or Python could not have what it asked for."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # on the CPU torch has no exception of its own for it
        if not (
            isinstance(error, MemoryError | torch.OutOfMemoryError)
            or "allocate memory" in str(error)
        ):
            raise
        raise RunError(
            "there is not enough memory: set a smaller model, context or micro_batch, or recompute"
        ) from None


@contextmanager
def _folder(out: str, world: World) -> Iterator[None]:
    if not world.first:
        yield
        return
    with storage.folder_lock(out):
        storage.remove_unfinished(out)
        remove_unfinished(out)
        yield


def _data(shards: str, settings: Settings, world: World) -> TokenBatches:
    per_process(settings, world.ranks)
    return TokenBatches(
        shards,
        context=settings.context,
        batch=settings.batch,
        seed=settings.seed,
        packing=settings.packing,
        documents=settings.document_masks,
        rank=world.rank,
        ranks=world.ranks,
    )


class _Training:
    """What one call holds from its first to its last step."""

    def __init__(
        self,
        shards: str,
        out: str,
        settings: Settings,
        batches: TokenBatches,
        world: World,
        echo: Callable[[str], None],
    ) -> None:
        self.shards, self.out, self.settings = shards, out, settings
        self.batches, self.world, self.echo = batches, world, echo
        manifest = batches.split_tokens.manifest
        torch.manual_seed(settings.seed)
        vocab_size = manifest.tokenizer.vocab_size
        self.model = Decoder(
            settings.model,
            vocab_size=vocab_size,
            context=settings.context,
            attention=settings.attention,
        ).to(world.device)
        self.model.recompute = settings.recompute
        self.parameters = count_parameters(self.model)
        self.flops = training_flops(settings.model, vocab_size, settings.context)
        self.peak = find_peak(settings, world.device)
        self.validation = None
        if VALIDATION in manifest.splits:
            vocabulary = trained_vocabulary(out)
            self.validation = Held(shards, VALIDATION, settings, vocabulary)
        self._say_what_is_trained()
        record = read_record(out)
        if not list_checkpoints(out) and settings.start is not None:
            load_start(self.model, settings.start, record["start"])
            echo(f"beginning with the weights of {settings.start} (step {record['start']['step']})")
        if settings.compile:
            for block in self.model.blocks:
                block.compile()
        self.trained = distribute(self.model, self.model.blocks, settings, world)
        self.optimizer = build_optimizer(self.trained, settings.weight_decay, world.device)
        self.resumed_from = resume(out, self.model, self.optimizer, world, echo)
        self.saver = Saver(
            out,
            world,
            # where `start` lies and who looks on is no part of the state: the bytes are the same
            settings.model_dump(mode="json", exclude={"start", *WATCHING}),
            keep=settings.keep_checkpoints,
            keep_every=settings.keep_every,
        )
        self.log = MetricsLog(
            out if world.first else None, self.resumed_from, board=settings.tensorboard
        )
        self.energy_before = self.log.energy
        if self.resumed_from == settings.steps:
            echo(f"all {settings.steps} steps were taken already")
        self.skipped_in_a_row = 0

    def _say_what_is_trained(self) -> None:
        settings, order = self.settings, self.batches.order
        steps, epochs = settings.steps, settings.steps * settings.batch / order.epoch_rows
        processes = "" if self.world.ranks == 1 else f" x {self.world.ranks} processes"
        self.echo(
            f"{self.parameters:,} parameters, {self.batches.split_tokens.total:,} training tokens, "
            f"{steps} steps of {settings.batch} x {settings.context} tokens ({epochs:.2g} epochs) "
            f"on {settings.device}{processes} in {settings.precision}"
        )
        if self.peak is None:
            self.echo("mfu: not known for this device: set peak_tflops to have it")
        else:
            self.echo(
                f"{self.flops / 1e6:,.4g} million operations a token; mfu is the share of "
                f"{self.peak.flops / 1e12:,.3g} TFLOPS ({self.peak.origin})"
            )
        if (mixture := self.batches.split_tokens.manifest.mixture) is not None:
            passes = order.passes(steps * settings.batch).items()
            named = sorted(passes, key=lambda item: (-item[1], item[0]))
            shown = [f"{name} {times:.3g}" for name, times in named[:CLASSES_TOLD]]
            more = [f"{len(named) - CLASSES_TOLD} more"] if len(named) > CLASSES_TOLD else []
            self.echo(f"epochs by {mixture.by}: {', '.join([*shown, *more])}")
        if epochs > 1 and mixture is not None:
            self.echo(
                f"warning: after step {order.epoch_rows // settings.batch} the mixture has given "
                "all that its budgets and max_repetitions permit: training goes through it again"
            )
        if self.validation is None:
            self.echo("warning: the shards have no validation tokens: no validation loss")

    def run(self, request: StopRequest) -> dict[str, Any]:
        """Take the steps that are left, or those before a request to stop."""
        settings, world = self.settings, self.world
        _, at_once = per_process(settings, world.ranks)
        self.trained.train()
        dataset = TokenDataset(self.batches)
        dataset.load_state_dict({"step": self.resumed_from})
        with (
            closing(self.saver),
            self._watching(),
            closing(prefetched(dataset, world.device)) as batches,
        ):
            for step in range(self.resumed_from + 1, settings.steps + 1):
                begun = time.perf_counter()
                batch = next(batches)
                waited = time.perf_counter() - begun
                rate = learning_rate(step, settings)
                set_learning_rate(self.optimizer, rate)
                seed_step(settings.seed, step, world.rank)
                result = take_step(
                    self.trained, self.optimizer, batch, settings, world, at_once, self._autocast
                )
                seconds = time.perf_counter() - begun
                self._note(step, rate, result, seconds, waited)
                last = step == settings.steps
                if last or step % settings.evaluate_every == 0:
                    self._evaluate(step)
                stop = world.any(request.made)
                if last or stop or self._is_saved(step):
                    self._save(step)
                if stop and not last:
                    self.saver.finish()
                    self.echo(f"stopped by SIGTERM after step {step}, which is saved")
                    raise KeyboardInterrupt
            self.saver.finish()
        return self._summary()

    def _is_saved(self, step: int) -> bool:
        every = (self.settings.checkpoint_every, self.settings.keep_every)
        return any(step % steps == 0 for steps in every if steps is not None)

    @contextmanager
    def _watching(self) -> Iterator[None]:
        """For as long as steps are taken: what else is running for the metrics."""
        self.meter: EnergyMeter | None = None
        with closing(self.log):
            if self.settings.country is None or not (self.settings.energy and self.world.first):
                yield
                return
            with closing(EnergyMeter(self.settings.country)) as self.meter:
                yield

    @contextmanager
    def _autocast(self) -> Iterator[None]:
        enabled = self.settings.precision == "bf16"
        with torch.autocast(self.settings.device, dtype=torch.bfloat16, enabled=enabled):
            yield

    def _note(self, step: int, rate: float, result: Result, seconds: float, waited: float) -> None:
        settings = self.settings
        row = {
            "step": step,
            "loss": _finite(result.loss),
            "lr": rate,
            "tokens": step * settings.batch * settings.context,
            "grad_norm": _finite(result.grad_norm),
            "tokens_per_second": round(result.tokens / seconds, 1),
            "seconds": round(seconds, 4),
            "waiting": round(waited / seconds, 4),
            "mfu": None,
            "peak_memory_bytes": peak_memory_bytes(self.world.device),
        }
        if self.peak is not None:
            possible = self.peak.flops * self.world.ranks * seconds
            row["mfu"] = _finite(round(result.tokens * self.flops / possible, 4))
        if not result.finite:
            row["skipped"] = True
            self.echo(f"warning: step {step}: the loss or its gradient is not finite: left out")
        self.log.add(row)
        self.skipped_in_a_row = 0 if result.finite else self.skipped_in_a_row + 1
        if self.skipped_in_a_row > settings.skip_limit:
            raise RunError(
                f"step {step}: the loss or its gradient has not been finite for "
                f"{self.skipped_in_a_row} steps; use a lower learning_rate or a longer warmup_ratio"
            )
        if step == settings.steps or step % max(1, settings.steps // PROGRESS_LINES) == 0:
            self.echo(
                f"step {step}/{settings.steps}: loss {result.loss:.4f}, learning rate {rate:.2e}, "
                f"{result.tokens / seconds:,.0f} tokens/s"
            )

    def _note_energy(self, step: int) -> None:
        """Of all calls so far; what is lost with the steps after a checkpoint is not in it."""
        if self.meter is not None:
            energy = self.energy_before + self.meter.read()
            self.log.add({"step": step, "energy_kwh": energy.kwh, "co2_kg": energy.co2_kg})

    def _evaluate(self, step: int) -> None:
        if self.validation is None:
            return
        begun = time.perf_counter()
        with self._autocast():
            found = self.validation.evaluate(self.trained, self.world)
            classes = self.validation.evaluate_classes(self.trained, self.world)
        whole = Evaluation.of_all(found.values())
        row = {
            "step": step,
            "validation_loss": _finite(whole.loss),
            "validation_bits_per_byte": _finite(whole.bits_per_byte),
            "seconds": round(time.perf_counter() - begun, 4),
            "sources": _measures(found),
        }
        self.log.add(row | ({"classes": _measures(classes)} if classes else {}))
        self.echo(
            f"step {step}/{self.settings.steps}: validation loss {whole.loss:.4f}, "
            f"{whole.bits_per_byte:.3f} bits per byte"
        )

    def _save(self, step: int) -> None:
        self._note_energy(step)
        self.log.sync()
        self.saver.save(step, self.model, self.optimizer)

    def _summary(self) -> dict[str, Any]:
        settings, log = self.settings, self.log
        losses = log.last_losses
        mean_loss = sum(losses) / len(losses) if losses else None
        compressed = self._compare_with_compressors()
        if self.settings.energy:
            self.echo(
                f"estimate: {log.energy.kwh:.3g} kWh and {log.energy.co2_kg:.3g} kg of CO2 for "
                f"the whole machine, with the electricity of {settings.country} (codecarbon)"
            )
        entropy = None
        if self.batches.split_tokens.total <= ENTROPY_TOKENS and self.world.first:
            entropy = unigram_entropy(self.shards, self.batches.split_tokens.split)
            if mean_loss is None:
                self.echo("all steps were left out: nothing was learned")
            else:
                below = "below" if mean_loss < entropy else "not below"
                self.echo(
                    f"mean loss of the last {len(losses)} steps: {mean_loss:.4f} nats, {below} "
                    f"the {entropy:.4f} of a model that only knows how frequent each token is"
                )
        return {
            "steps": settings.steps,
            "resumed_from": self.resumed_from,
            "parameters": self.parameters,
            "tokens": settings.steps * settings.batch * settings.context,
            "skipped": log.skipped,
            "mean_loss_of_last_ten_steps": mean_loss,
            "unigram_entropy": entropy,
            "validation_loss": log.validation_loss,
            "validation_bits_per_byte": log.validation_bits_per_byte,
            "compressed_bits_per_byte": compressed,
            "mfu": sum(log.last_mfu) / len(log.last_mfu) if log.last_mfu else None,
            "peak_memory_bytes": log.peak_memory_bytes,
            "energy_kwh_estimate": log.energy.kwh if settings.energy else None,
            "co2_kg_estimate": log.energy.co2_kg if settings.energy else None,
        }

    def _compare_with_compressors(self) -> dict[str, float] | None:
        """Bits per byte of gzip and xz on the text that was evaluated; None without such text."""
        ours = self.log.validation_bits_per_byte
        if self.validation is None or ours is None or not self.world.first:
            return None
        theirs = self.validation.compressed()
        if theirs is not None:
            named = ", ".join(f"{name} {bits:.3f}" for name, bits in theirs.items())
            self.echo(f"bits per byte of the text evaluated: the model {ours:.3f}, {named}")
        return theirs
