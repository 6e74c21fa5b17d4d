"""What we think: books, detection, risk. No Kafka, no clock, no I/O."""
