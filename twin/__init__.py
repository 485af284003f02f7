"""What AWS would do with the synthesised templates, for trying and teaching; AWS is where the system runs.

`templates` reads what the fleets scale by, and refuses by name what nothing here acts on. `metrics`, `expressions`,
`alarms`, `groups` and `balancer` are AWS's rules, without a clock; `fleet` lets them act on one event loop, over a
`Driver` that has the instances: `simulated` ones, or real `processes`. `world` is the whole system over real
processes, in which `stories` are played. What compares ways to scale on it is in `bench`.
"""
