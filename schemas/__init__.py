"""What is said: Avro schemas, their codecs, and the topics."""
