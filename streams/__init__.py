"""How it moves: everything that touches Kafka, the network, files or the clock."""
