from detector.simulate import SimulationPlan, compare, read_ndjson, simulate, write_ndjson

SIMULATION = simulate(SimulationPlan(seed=21, lines=20_000))
TRUTH = SIMULATION.truth


def found(incident, halves=None, **other):
    """What a detector would report of a planted incident."""
    evidence = [
        {"kernel_time_us": half.kernel_time_us, "text": half.text}
        for half in halves or incident.halves
    ]
    return {"type": "incident", "host": incident.host, "evidence": evidence, **other}


def noise():
    """What a detector would report of the planted noise."""
    return [
        {"host": one.host, "process": one.process, "signature": one.kind, "count": one.count}
        for one in TRUTH.noise
    ]


def test_ndjson_holds_all_of_it():
    """Written and read again, the truth is the same."""
    assert read_ndjson(write_ndjson(TRUTH)) == TRUTH


def test_all_found_agrees():
    """Every incident once and all the noise: nothing to complain of."""
    assert compare(TRUTH, [found(one) for one in TRUTH.incidents], noise()).agrees


def test_a_missed_one_is_named():
    """What nobody found is named."""
    assert compare(TRUTH, [found(one) for one in TRUTH.incidents[1:]]).missed == TRUTH.incidents[:1]


def test_a_decoy_is_false():
    """An incident made of a decoy's lines is false."""
    decoy = next(one for one in TRUTH.decoys if one.kind == "far")
    raised = {
        "host": decoy.where[0][0],
        "evidence": [
            {"kernel_time_us": half.kernel_time_us, "text": half.text} for half in decoy.halves
        ],
    }
    assert compare(TRUTH, [*map(found, TRUTH.incidents), raised]).false == (raised,)


def test_the_same_incident_twice_is_one_too_many():
    """Two findings for one truth: the second is false."""
    doubled = [*map(found, TRUTH.incidents), found(TRUTH.incidents[0], id="another")]
    assert compare(TRUTH, doubled).false == (doubled[-1],)


def test_evidence_of_two_incidents_is_false():
    """Lines that belong to no one incident together do not make one."""
    mixed = found(TRUTH.incidents[0], (TRUTH.incidents[0].halves[0], TRUTH.decoys[0].halves[0]))
    comparison = compare(TRUTH, [mixed])
    assert comparison.false == (mixed,)
    assert len(comparison.missed) == len(TRUTH.incidents)


def test_another_host_is_another_incident():
    """The right lines on the wrong host are false."""
    assert compare(TRUTH, [found(TRUTH.incidents[0]) | {"host": "elsewhere"}]).false


def test_the_files_name_is_the_host_where_lines_name_none():
    """A detector that knows only the file's path means the file's host."""
    one = TRUTH.incidents[0]
    assert (
        len(compare(TRUTH, [found(one) | {"host": f"day/{one.host}.log"}]).missed)
        == len(TRUTH.incidents) - 1
    )


def test_without_kernel_time_the_text_decides():
    """Transports that lose the kernel's clock are compared by the words."""
    evidence = [{"kernel_time_us": None, "text": half.text} for half in TRUTH.incidents[0].halves]
    assert not compare(TRUTH, [{"host": TRUTH.incidents[0].host, "evidence": evidence}]).false


def test_noise_is_compared_by_host_and_process():
    """A crash too few and a process too many are both told, with planted and found."""
    reported = noise()
    key = (reported[0]["host"], reported[0]["process"])
    reported[0]["count"] += 2
    reported.append({"host": "db-1", "process": "ghost", "count": 1})
    planted = sum(one.count for one in TRUTH.noise if (one.host, one.process) == key)
    assert compare(TRUTH, map(found, TRUTH.incidents), reported).noise == {
        key: (planted, planted + 2),
        ("db-1", "ghost"): (0, 1),
    }
