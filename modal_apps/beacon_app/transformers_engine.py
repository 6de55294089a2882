"""The engine on transformers: one question at a time, the same text for the same seed on the same hardware.

What the caller does not set is the model's own (`generation_config.json`). Temperature 0 is the likeliest word
each time; transformers knows that as not sampling.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from beacon_app.chat import Form, fingerprint, write
from beacon_app.engine import Asked, Broken, Made, Refused, Said
from beacon_app.settings import Card

_SAMPLING = ("temperature", "top_p", "top_k", "min_p", "typical_p", "top_h", "epsilon_cutoff", "eta_cutoff")
"""What has no meaning without sampling, and is complained of."""
_GB = 1e9


class TransformersEngine:
    """Weights in safetensors, from a folder alone: nothing is fetched, no code of a repository is run."""

    def __init__(self, card: Card) -> None:
        self._dtype = card.dtype
        self._tokenizer: Any = None
        self._model: Any = None
        self._device = "cpu"

    def load(self, weights: Path) -> None:
        """Bring the weights into main memory. torch.cuda is left alone: a snapshot would keep that it saw none."""
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        # Left unsaid, `trust_remote_code` asks on the terminal.
        plain: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self._tokenizer = AutoTokenizer.from_pretrained(weights, **plain)
        self._model = AutoModelForCausalLM.from_pretrained(
            weights, dtype=getattr(torch, self._dtype), use_safetensors=True, **plain
        ).eval()

    def wake(self) -> Made:
        """Bring them onto the GPU, if there is one."""
        import torch
        import transformers

        gpu = None
        if torch.cuda.is_available():
            self._device = "cuda"
            self._model = self._model.to("cuda")
            torch.cuda.synchronize()
            gpu = str(torch.cuda.get_device_name())
        return Made(
            engine="transformers",
            version=f"{transformers.__version__} (torch {torch.__version__})",
            dtype=str(self._model.dtype).removeprefix("torch."),
            template=fingerprint(self._tokenizer),
            gpu=gpu,
        )

    def generate(self, asked: Asked) -> Said:
        """Answer.

        Raises:
            Refused: the question leaves no room for an answer.
            Broken: the GPU has failed, and this process will not get it back.
        """
        import torch

        written = write(self._tokenizer, asked.prompt, asked.system_prompt)
        encoded = self._tokenizer(written.text, return_tensors="pt", add_special_tokens=written.special)
        # Some tokenizers give more than their models take.
        inputs = {name: encoded[name].to(self._device) for name in ("input_ids", "attention_mask")}
        prompt_tokens = int(inputs["input_ids"].shape[1])
        config = self._config(asked, prompt_tokens)
        if self._device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        torch.manual_seed(asked.seed)
        try:
            with torch.inference_mode():
                output = self._model.generate(**inputs, generation_config=config)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            raise Refused(f"{prompt_tokens} tokens of prompt do not fit the GPU's memory") from None
        except RuntimeError as error:
            if self._device == "cuda" and "CUDA error" in str(error):
                raise Broken(f"the GPU failed: {error}") from error
            raise
        return self._said(output[0][prompt_tokens:].tolist(), prompt_tokens, written.form)

    def _config(self, asked: Asked, prompt_tokens: int) -> Any:
        """How to generate: the model's own settings, with the caller's in their place."""
        import copy

        config = copy.deepcopy(self._model.generation_config)
        room = int(self._model.config.max_position_embeddings) - prompt_tokens
        if room < 1:
            raise Refused(f"{prompt_tokens} tokens of prompt leave no room for an answer")
        config.max_new_tokens = min(asked.max_tokens, room)
        config.max_length = None
        if asked.temperature is not None:
            config.do_sample = asked.temperature > 0
            config.temperature = asked.temperature or None
        if asked.top_p is not None:
            config.top_p = asked.top_p
        if not config.do_sample:
            for name in _SAMPLING:
                setattr(config, name, None)
        if config.pad_token_id is None:
            config.pad_token_id = self._ends(config)[0] if self._ends(config) else 0
        return config

    def _said(self, tokens: list[int], prompt_tokens: int, form: Form) -> Said:
        import torch

        ended = bool(tokens) and tokens[-1] in self._ends(self._model.generation_config)
        memory = torch.cuda.max_memory_allocated() / _GB if self._device == "cuda" else None
        return Said(
            text=str(self._tokenizer.decode(tokens, skip_special_tokens=True)).strip(),
            finish_reason="stop" if ended else "length",
            prompt_tokens=prompt_tokens,
            tokens=len(tokens),
            chat=str(form),
            memory_gb=None if memory is None else round(memory, 3),
        )

    @staticmethod
    def _ends(config: Any) -> list[int]:
        """The tokens that end an answer."""
        ends = config.eos_token_id
        if ends is None:
            return []
        return list(ends) if isinstance(ends, list | tuple) else [int(ends)]
