"""Invariants of measures, for `fablewright doctor`."""

from fablewright.core.system import Check

CHECKS = (
    Check(
        "progress.every_measure_is_used",
        """SELECT m.world_id, 'nobody uses measure ' || m.id
           FROM measures m
           WHERE NOT EXISTS (SELECT FROM measure_uses u WHERE u.world_id = m.world_id AND u.measure_id = m.id)""",
    ),
    Check(
        "progress.every_value_is_of_a_measure",
        """SELECT v.world_id, v.subjects || ' subjects have come far in measure ' || v.measure_id
                  || ', which there is not'
           FROM (SELECT world_id, measure_id, count(*) AS subjects FROM measure_values GROUP BY 1, 2) v
           LEFT JOIN measures m ON m.world_id = v.world_id AND m.id = v.measure_id
           WHERE m.id IS NULL""",
    ),
    Check(
        "progress.distinct_values_are_counted",
        """SELECT m.world_id, 'subject ' || coalesce(v.subject_id, i.subject_id) || ' has ' || coalesce(i.many, 0)
                  || ' different values in measure ' || m.id || ', and ' || coalesce(v.value, 0) || ' are counted'
           FROM measures m
           JOIN (SELECT world_id, measure_id, subject_id, value FROM measure_values) v
                ON v.world_id = m.world_id AND v.measure_id = m.id
           LEFT JOIN (SELECT world_id, measure_id, subject_id, count(*) AS many FROM measure_items GROUP BY 1, 2, 3) i
                ON i.world_id = v.world_id AND i.measure_id = v.measure_id AND i.subject_id = v.subject_id
           WHERE m.spec ->> 'kind' = 'distinct' AND v.value <> coalesce(i.many, 0)""",
    ),
)
