"""What is said: Avro schemas, their codecs, and the topics."""

from schemas import kernel_cache as kernel_cache  # first: it decides where kernels are cached
