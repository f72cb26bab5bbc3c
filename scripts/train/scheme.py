"""The codebook's label scheme as data: topics, escalation levels, boilerplate.

Inputs: none. Outputs: constants that training and the bundle share; the order of topics and levels is the order of the logits.
"""

TOPICS: list[dict[str, str]] = [
    {
        "name": "military",
        "description": "use, threat, movement, strength, equipment or consequences of armed force; arms deliveries; exercises; hybrid acts",
    },
    {
        "name": "diplomacy",
        "description": "what states, blocs and international organisations say to or agree with one another; foreign-policy lines",
    },
    {
        "name": "sanctions",
        "description": "restrictive measures imposed, threatened, eased, lifted, evaded or suffered for political ends",
    },
]
TOPIC_NAMES: list[str] = [topic["name"] for topic in TOPICS]

LEVELS: list[dict[str, int | str]] = [
    {"code": -2, "name": "strongly de-escalatory"},
    {"code": -1, "name": "de-escalatory"},
    {"code": 0, "name": "neutral"},
    {"code": 1, "name": "escalatory"},
    {"code": 2, "name": "strongly escalatory"},
]
LEVEL_CODES: list[int] = [int(level["code"]) for level in LEVELS]

MANIFEST_SCHEME = {"topics": TOPICS, "scale": {"name": "escalation", "levels": LEVELS}, "boilerplate": True}
