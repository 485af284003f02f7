"""How the system is deployed: one module per thing that is created and destroyed together."""
