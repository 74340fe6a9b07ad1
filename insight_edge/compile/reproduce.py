# SPDX-License-Identifier: Apache-2.0
"""The commands that do a compilation again, or one trial of it, for people to copy.

They are run where the first one was: paths are as they were given. What changes
neither an artifact nor a verdict is not repeated.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from insight_edge.compile.settings import Settings
from insight_edge.documents.target import Target


@dataclass(frozen=True, kw_only=True)
class Reproduce:
    """A compilation, as its command line says it.

    Attributes:
        model, output, samples: as they were given.
        profile: an id, or the path of a TOML file.
        settings: how it was done.
    """

    model: Path
    profile: str
    output: Path
    samples: Path | None
    settings: Settings

    def whole(self) -> str:
        """Return the shell command that does all of it again."""
        named = [word for target in self.settings.only for word in ("--target", target.token)]
        return shlex.join([*self._words(), *named, "-o", str(self.output)])

    def trial(self, target: Target) -> str:
        """Return the shell command that tries one target alone.

        It writes beside the bundle: what ships alone is not what ships among others.
        """
        name = f"{self.output.name}.{target.token.replace(':', '-').replace('+', '-')}"
        output = self.output.with_name(name)
        return shlex.join([*self._words(), "-o", str(output), "--target", target.token])

    def _words(self) -> list[str]:
        settings, usual = self.settings, Settings()
        words = ["insight-edge", "compile", "-m", str(self.model), "--profile", self.profile]
        if self.samples is not None:
            words += ["--calibration", str(self.samples)]
        words += ["--transforms", str(settings.transforms)] if settings.transforms else []
        words += ["--fuse"] if settings.fuse else []
        if settings.max_drop_pp is not None:
            words += ["--max-drop", f"{settings.max_drop_pp:g}"]
        if settings.threads is not None:
            words += ["--threads", str(settings.threads)]
        if settings.rounds != usual.rounds:
            words += ["--rounds", str(settings.rounds)]
        if settings.repair_s != usual.repair_s:
            words += ["--repair", f"{settings.repair_s:g}"]
        words += ["--builder", str(settings.builder)] if settings.builder else []
        words += ["--accept-unproven"] if settings.accept_unproven else []
        words += ["--contenders"] if settings.contenders else []
        words += ["--trust-pickle"] if settings.trust_pickle else []
        if settings.tuning_s:
            words += ["--tuning", f"{settings.tuning_s:g}"]
            # What was found is kept there, and a tuned artifact is made of it.
            words += ["--cache", str(settings.cache)] if settings.cache else []
        return words
