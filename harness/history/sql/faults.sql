-- Faults, incidents, and how the system's own life and signals went.

create view process_changes as
select cast(run as _run) as run, seq, t_ns, change from events where kind = 'system.process';

-- One row a fault that was in place. It came on in (on_lo, on_hi] and went off in (off_lo, off_hi]. What nobody
-- removed lasts until the system is back (a kill, a restart) or to the end of the record. `endpoint` is the one beside
-- that of the mail that it is on, null where it is on that. `aside`: no mail is held up by it, as on the way of events
-- back, on a route that carries none, or where it is only about what becomes of a message that was taken, or what a
-- status page says; what lies on the mail's way, such as a token service, is not aside.
create table faults as
with told as (
    select cast(run as _run) as run, fault, any_value(incident) as incident, any_value(type) as type, any_value(target) as target,
           any_value(attributes) as attributes, min(t_ns) as on_lo,
           min(t_ns) filter (kind = 'fault.active') as active_ns,
           min(t_ns) filter (kind = 'fault.removing') as removing_ns,
           min(t_ns) filter (kind = 'fault.removed') as removed_ns
    from events
    where kind in ('fault.injecting', 'fault.active', 'fault.acted', 'fault.removing', 'fault.removed')
    group by run, fault
), back as (
    select t.run, t.fault, min(e.t_ns) as back_ns
    from told t join process_changes e on e.run = t.run and e.change = 'started' and e.t_ns >= t.on_lo
    where t.type in ('kill', 'restart') group by t.run, t.fault
)
select t.run, t.fault, coalesce(nullif(t.incident, ''), t.fault) as incident, t.type, t.target, t.attributes,
       case when t.target <> 'system' then cast(split_part(t.target, '.', 1) as _route) end as route,
       nullif(split_part(t.target, '.', 2), '') as endpoint,
       split_part(t.target, '.', 2) = 'events' or t.type in ('bounce', 'events-lost', 'events-late', 'status')
           or list_contains(r.routes_without_mail, split_part(t.target, '.', 1)) as aside,
       t.on_lo, t.active_ns as on_hi,
       coalesce(b.back_ns, t.removing_ns, r.watch_end_ns) as off_lo,
       coalesce(b.back_ns, t.removed_ns, r.watch_end_ns) as off_hi
from told t join runs r using (run) left join back b using (run, fault)
where t.active_ns is not null;

-- What a fault says of itself: a number among its attributes, 0 where it has none of that name.
create macro said(attributes, name) as coalesce(cast(attributes ->> ('$.' || name) as double), 0);

-- The most that faults held an attempt on a route back, and so the most by which they can crowd attempts together.
-- Those that are on at once add up. What carries few bytes at a time holds the largest message longest, and 8 kB for
-- what is said around it. One on an endpoint beside holds back what comes before an attempt; a slow acknowledgement
-- comes after it.
create table route_delays as
with largest as (
    select cast(run as _run) as run, cast(route as _route) as route, max(coalesce(body_bytes, 0)) + 8000 as bytes
    from events where kind = 'receipt' group by run, route
), delays as (
    select f.run, f.route, f.on_lo, f.off_hi,
           cast(case f.type
                when 'latency' then 1e6 * (said(f.attributes, 'latency') + said(f.attributes, 'jitter'))
                when 'bandwidth' then 1e9 * coalesce(l.bytes / nullif(said(f.attributes, 'rate'), 0), 0)
                when 'slice' then 1e6 * said(f.attributes, 'delay')
                                  * coalesce(ceil(l.bytes / nullif(said(f.attributes, 'size'), 0)), 0)
                else 0 end as bigint) as delay_ns
    from faults f left join largest l on l.run = f.run and l.route = f.route
    where f.endpoint is null
)
select run, route, max(total_ns) as delay_ns from (
    select a.run, a.route, cast(sum(b.delay_ns) as bigint) as total_ns
    from (select distinct run, route, on_lo from delays) a join delays b on b.run = a.run and b.route = a.route and b.on_lo <= a.on_lo and a.on_lo <= b.off_hi
    group by a.run, a.route, a.on_lo
) group by run, route;

-- Faults that share a label are one incident. Those aside belong to none: nothing is detected, left or restored
-- because of them. `routes` are all the routes it broke, lead_routes those it began with:
-- leaving these is what counts as switching. next_on_lo is when the next incident begins, null for the last.
create table incidents as
with grouped as (
    select run, incident,
           row_number() over (partition by run order by min(on_lo), incident) as number,
           min(on_lo) as on_lo, min(on_hi) as on_hi, max(off_lo) as off_lo, max(off_hi) as off_hi,
           coalesce(list(distinct route order by route) filter (route is not null), []) as routes,
           lead(min(on_lo)) over (partition by run order by min(on_lo), incident) as next_on_lo
    from faults where not aside group by run, incident
), began as (
    select g.run, g.incident, list(distinct f.route order by f.route) as lead_routes
    from grouped g join faults f on f.run = g.run and f.incident = g.incident
    where f.route is not null and not f.aside and f.on_lo <= g.on_hi group by g.run, g.incident
)
select g.*, coalesce(l.lead_routes, g.routes) as lead_routes
from grouped g left join began l using (run, incident);

-- The last moment at which detecting an incident still counts as detecting it: off plus 5 s of grace.
create view detection_windows as
select i.run, i.incident, i.on_lo, least(i.off_hi + 5_000_000_000, min(n.on_lo)) as until_ns
from incidents i left join incidents n
  on n.run = i.run and n.number > i.number and list_has_any(n.lead_routes, i.lead_routes)
group by i.run, i.incident, i.on_lo, i.off_hi;

-- Readings as truth values, where true is 1. An answer that made no sense has none.
create table readings as
select cast(run as _run) as run, seq, t_ns, signal, route, previous_read_ns, error,
       case json_type(value) when 'VARCHAR' then lower(value ->> '$') not in ('', 'false', 'no', 'off', '0')
                            else cast(value as double) <> 0 end as truth,
       case when json_type(value) in ('BIGINT', 'UBIGINT', 'DOUBLE') then cast(value as double) end as number
from events where kind = 'signal';

-- Where a signal changed, in (lo, hi]. lo is when the last question was put that still found the old truth: what came
-- after it may be missing from its answer. Where that is not told it is when the old truth was read. Answers without
-- sense in between widen the interval.
create table signal_edges as
with grouped as (
    -- A stretch is one answer that made sense, and those before it that did not.
    select *, count(truth) over (partition by run, signal, route order by t_ns, seq
                                 rows between unbounded preceding and 1 preceding) as stretch
    from readings
), truths as (
    select run, signal, route, stretch, max(t_ns) as hi,
           min(previous_read_ns) as lo, bool_or(previous_read_ns is null) as untold, any_value(truth) as truth
    from grouped group by run, signal, route, stretch
), turned as (
    select *, lag(truth) over told as was, lag(hi) over told as was_read_ns
    from truths window told as (partition by run, signal, route order by stretch)
)
select run, signal, route, truth as rising, least(lo, case when untold then was_read_ns end) as lo, hi
from turned where truth <> was;
