"""What defines near-duplicate removal, for all its steps and on any engine: `NearDuplicates`."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from pipelines.minhash import Signing


class NearDuplicates(BaseModel):
    """All that defines near-duplicate removal, for all its steps.

    Args:
        shingle_size: Tokens in a shingle. Source: The Stack's near-deduplication, 5.
        threshold: Jaccard of two shingle sets from which they are near duplicates. Source: The Stack, 0.7.
        bands: LSH bands; `bands * rows` is the number of permutations. More bands find more and compare more.
        rows: Hashes in a band. 25 bands of 5 propose 99% of the pairs at 0.7, 6% at 0.3; since each proposal is
            verified, wrong ones cost time only.
        bucket_limit: With how many of a bucket's best texts each other one is compared, so that a bucket of boilerplate
            costs its size times this and not its square.
        seed: Of the permutations.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    shingle_size: int = Field(default=5, ge=1, le=50)
    threshold: float = Field(default=0.7, gt=0, le=1)
    bands: int = Field(default=25, ge=1, le=1024)
    rows: int = Field(default=5, ge=1, le=64)
    bucket_limit: int = Field(default=64, ge=1)
    seed: int = Field(default=1, ge=0, lt=2**63)

    def recall(self, jaccard: float) -> float:
        """Return the probability that a pair of this Jaccard is proposed.

        Source: Leskovec, Rajaraman, Ullman, Mining of Massive Datasets, 3.4.2.
        """
        return 1 - (1 - jaccard**self.rows) ** self.bands

    @property
    def signing(self) -> Signing:
        """What of it signatures and buckets depend on."""
        return Signing(self.shingle_size, self.bands, self.rows, self.seed)
