-- When each incident was met: switches, releases, detection, restoration, exposure.

-- So many transactional copies in a row on other routes would come about by chance less than once in a thousand,
-- at the shares the baseline had.
create view _switch_lengths as
select i.run, i.incident,
       1 + cast(floor(ln(0.001) / ln((coalesce(sum(b.copies) filter (not list_contains(i.lead_routes, b.route)), 0) + 1)
                                     / (coalesce(sum(b.copies), 0) + 2)) + 1e-9) as bigint) as k
from incidents i left join baseline_shares b on b.run = i.run
group by i.run, i.incident;

create table switches as
with others as (
    -- Outside of these no switch can begin, and what is in order of time is costly to put in order.
    select i.run, i.incident, min(c.end_ns) as from_ns, max(c.end_ns) as until_ns
    from incidents i join copies c on c.run = i.run and not list_contains(i.lead_routes, c.route)
    where c.class = 'transactional' and not c.baseline and len(i.routes) > 0
      and c.end_ns >= i.on_lo and (i.next_on_lo is null or c.end_ns < i.next_on_lo)
    group by i.run, i.incident
), seen as (
    select i.run, i.incident, c.end_ns, c.seq, c.error_ns, not list_contains(i.lead_routes, c.route) as other
    from incidents i join others o on o.run = i.run and o.incident = i.incident
    join copies c on c.run = i.run and c.end_ns between o.from_ns and o.until_ns
    where c.class = 'transactional' and not c.baseline
), stretches as (
    -- A filtered count in place of the sum takes a hundred times as long.
    select *, sum(case when other then 0 else 1 end) over (partition by run, incident order by end_ns, seq
                                                           rows unbounded preceding) as stretch
    from seen
), lengths as (
    select run, incident, min(end_ns) as switched_ns, max(error_ns) as error_ns, count(*) as length
    from stretches where other group by run, incident, stretch
)
select run, incident, min(switched_ns) as switched_ns, arg_min(error_ns, switched_ns) as error_ns, any_value(k) as k
from lengths join _switch_lengths using (run, incident) where length >= k group by run, incident;

-- First transactional copy on a faulted route after the fault was off, where the SUT had left the route.
create table failbacks as
select i.run, i.incident, min(c.end_ns) as failed_back_ns
from incidents i join switches s on s.run = i.run and s.incident = i.incident
join copies c on c.run = i.run and c.class = 'transactional' and not c.baseline
    and c.end_ns >= i.off_lo and c.end_ns > s.switched_ns and list_contains(i.lead_routes, c.route)
    and (i.next_on_lo is null or c.end_ns < i.next_on_lo)
group by i.run, i.incident;

-- First false-to-true edge of each signal that names a faulted route (or none), between injecting and off + grace.
create view _noticed as
select i.run, i.incident, e.signal, min(e.lo) as lo, min(e.hi) as hi
from incidents i join detection_windows w using (run, incident)
join signal_edges e on e.run = i.run and e.rising
    and (list_contains(i.lead_routes, e.route)
         or e.route is null and (i.next_on_lo is null or e.hi < i.next_on_lo))
    and e.hi >= i.on_lo and e.hi <= w.until_ns
group by i.run, i.incident, e.signal;

-- The impact that belongs to each incident, counted from scheduled times and from those of the offers.
create macro incident_impacts(min_overdue) as table
select i.run, i.incident, p.counted_from, min(p.from_ns) as impact_ns, bool_or(p.until_ns is null) as endless,
       case when not bool_or(p.until_ns is null) then max(p.until_ns) end as until_ns
from incidents i join impacts_by(min_overdue) p
  on p.run = i.run and (p.from_ns >= i.on_lo or i.number = 1 and (p.until_ns is null or p.until_ns > i.on_lo))
     and (i.next_on_lo is null or p.from_ns < i.next_on_lo)
group by i.run, i.incident, p.counted_from;

-- One row per incident, times as intervals (lo, hi]. Null: it did not happen. impact_ns is null where nothing was
-- overdue; restored_ns is then null too, as it is where the impact never ended. `offered_` tells the same of messages
-- as they were offered, and as surely as the clocks allow: the system may have been as well as that, and no better.
create macro instants(min_overdue) as table
with impact as (from incident_impacts(min_overdue)), backlog as (from incident_impacts(1))
select i.run, i.incident, i.number, i.routes, i.on_lo, i.on_hi, i.off_lo, i.off_hi,
       a.impact_ns, coalesce(a.endless, false) as endless, a.until_ns as restored_ns,
       d.incident is not null as any_overdue, coalesce(d.endless, false) as never_drained, d.until_ns as drained_ns,
       oa.impact_ns as offered_impact_ns, oa.until_ns as offered_restored_ns,
       od.incident is not null as offered_any_overdue, od.until_ns as offered_drained_ns,
       n.lo as detected_lo, n.hi as detected_hi, k.lo as acknowledged_lo, k.hi as acknowledged_hi,
       s.switched_ns - s.error_ns as switched_lo, s.switched_ns + s.error_ns as switched_hi, f.failed_back_ns
from incidents i
left join impact a on a.run = i.run and a.incident = i.incident and a.counted_from = 'scheduled'
left join impact oa on oa.run = i.run and oa.incident = i.incident and oa.counted_from = 'offered'
left join backlog d on d.run = i.run and d.incident = i.incident and d.counted_from = 'scheduled'
left join backlog od on od.run = i.run and od.incident = i.incident and od.counted_from = 'offered'
left join _noticed n on n.run = i.run and n.incident = i.incident and n.signal = 'detected'
left join _noticed k on k.run = i.run and k.incident = i.incident and k.signal = 'acknowledged'
left join switches s on s.run = i.run and s.incident = i.incident
left join failbacks f on f.run = i.run and f.incident = i.incident;

-- What an operator said, or the scenario in his place. `class` is null where it is about the mail of every class.
create view operator_words as
select cast(run as _run) as run, seq, t_ns, action, class from events where kind = 'operator';

-- What lets a backlog go: a switch, a fault's end, an operator's (or the scenario's) word. next_ns is the next one.
create table releases as
with told as (
    select run, 'switch' as release, switched_ns as t_ns, null as class from switches
    union all
    select run, 'fault off', off_lo, null from incidents i join runs r using (run) where off_lo < r.watch_end_ns
    union all
    select run, action, t_ns, class from operator_words where action in ('resume', 'approve', 'switch')
    union all
    select run, 'resume', hi, null from signal_edges where signal = 'paused' and not rising
)
select run, row_number() over ordered as number, release, t_ns, lead(t_ns) over ordered as next_ns, class
from told window ordered as (partition by run order by t_ns, release);

-- Faults that a provider plays itself on attempts, and marks whom they hit.
create macro played_by_provider(type) as
    type in ('refuse', 'ack-loss', 'slow-ack', 'hang', 'disconnect', 'silent-drop', 'throttle', 'certificate', 'key-rotated');

-- Those that it plays afterwards, on messages that it took: they show in what became of the message.
create macro played_afterwards(type) as type in ('bounce', 'events-lost', 'events-late');

-- Those of the way there that only delay: every attempt goes through them. The others cut, or lead elsewhere.
create macro only_delays(type) as type in ('latency', 'bandwidth', 'slice', 'slow-close');

-- Those that can keep an attempt from leaving any trace at its provider.
create macro leaves_no_trace(type) as type in ('outage', 'blackhole', 'reset', 'cut', 'auth-failure', 'certificate');

-- One row per fault, but those on routes that carry no mail, and what a status page says: what shows that the SUT met
-- it. `in_play` messages were there to be sent while it lasted; on the way of events, `in_play` events were there to be
-- told, and those that it cut are `attempts`.
create table exposures as
with asked as (
    select f.* from faults f join runs r using (run)
    where not f.aside or f.endpoint = 'events'
       or played_afterwards(f.type) and not list_contains(r.routes_without_mail, f.route)
), play as (
    select f.run, f.fault, count(*) as in_play
    from asked f join fates m on m.run = f.run
    where f.endpoint is distinct from 'events' and not m.baseline and m.scheduled_ns <= f.off_lo
      and (m.copy_ns is null or m.copy_ns >= f.on_hi)
      and (m.result <> 'refused' and not m.bounced or m.scheduled_ns >= f.on_lo)
    group by f.run, f.fault
), told as (
    select run, route, webhook, t_ns as told_ns, t_ns - coalesce(delay_ns, 0) as at_ns
    from events where kind = 'provider.event' and webhook <> 'none' and canary is null
), play_of_events as (
    select f.run, f.fault, count(*) as in_play,
           count(*) filter (t.webhook <> 'delivered' or only_delays(f.type)) as attempts
    from faults f join told t on t.run = f.run and t.route = f.route and t.at_ns <= f.off_lo and t.told_ns >= f.on_hi
    where f.endpoint = 'events' group by f.run, f.fault
), met as (
    -- What a provider plays itself hit those that it marked. Of the others, what cuts or leads elsewhere shows nothing
    -- in an ordinary acceptance, nor in what another fault hit; where it only delays, every attempt went through it.
    select f.run, f.fault, count(*) as attempts
    from faults f join receipts r on r.run = f.run and r.route = f.route and f.endpoint is null
    where r.canary is null and not r.baseline and r.begin_ns - r.error_ns <= f.off_hi
      and r.end_ns + r.error_ns >= f.on_lo
      and (r.fault = f.fault or only_delays(f.type)
           or not played_by_provider(f.type) and not played_afterwards(f.type)
              and r.result <> 'accepted' and r.fault is null)
    group by f.run, f.fault
), became as (
    select f.run, f.fault, count(distinct r.seq) as attempts
    from faults f join receipts r on r.run = f.run and r.route = f.route and r.result in ('accepted', 'ack-lost')
    join events e on e.run = f.run and e.kind = 'provider.event' and e.route = f.route and e.token = r.token
        and (e.recipient is null or lower(e.recipient) = r.rkey) and e.t_ns >= r.end_ns
    where played_afterwards(f.type) and r.canary is null and not r.baseline
      and r.end_ns - r.error_ns <= f.off_hi and r.end_ns + r.error_ns >= f.on_lo
      and case f.type when 'bounce' then e.event = coalesce(f.attributes ->> '$.event', 'bounced')
                      when 'events-lost' then e.webhook = 'lost'
                      else e.webhook = 'late' end
    group by f.run, f.fault
), called as (
    -- At an endpoint beside: through one that is broken in its proxy no request comes that did not meet it, and to one
    -- that refuses every login some go without.
    select f.run, f.fault, count(*) as attempts
    from faults f join calls c on c.run = f.run and c.route = f.route and c.endpoint = f.endpoint
    where c.begin_ns - c.error_ns <= f.off_hi and c.end_ns + c.error_ns >= f.on_lo
      and (c.fault = f.fault
           or f.type = 'auth-failure' and c.code >= 400
           or only_delays(f.type) or f.type = 'reset')
    group by f.run, f.fault
), refused_without as (
    -- Who cannot get what the endpoint gives out, such as a token, is refused on the route for the lack of it. Until
    -- it is missing the fault is hidden.
    select f.run, f.fault, count(*) as attempts
    from faults f join receipts r on r.run = f.run and r.route = f.route
    where f.endpoint is not null and not f.aside and r.canary is null and not r.baseline
      and r.begin_ns - r.error_ns <= f.off_hi and r.end_ns + r.error_ns >= f.on_lo
      and r.result in ('refused', 'deferred') and r.code in (401, 403, 530, 535)
    group by f.run, f.fault
), cut as (
    select f.run, f.fault, count(*) as attempts
    from faults f join lost_acks a on a.run = f.run and a.route = f.target and a.end_ns between f.on_lo and f.off_hi
    where not a.certain group by f.run, f.fault
), tried as (
    select run, fault, cast(sum(attempts) as bigint) as attempts from (
        select run, fault, attempts from play_of_events
        union all select * from met union all select * from became union all select * from called union all select * from refused_without
        union all select * from cut
    ) group by run, fault
), avoided as (
    select f.run, f.fault
    from faults f join signal_edges e
      on e.run = f.run and e.signal = 'detected' and e.rising and e.route = f.route and not f.aside
     and e.hi >= f.on_lo and e.lo <= f.off_hi
    group by f.run, f.fault
), late as (
    select f.run, f.fault, count(*) as overdue
    from faults f join overdue o
      on o.run = f.run and not f.aside and o.scheduled_ns between f.on_lo and f.off_hi
     and leaves_no_trace(f.type)
    group by f.run, f.fault
), waited as (
    -- The route fell silent while messages waited, and took them when it was back.
    select f.run, f.fault, count(*) as waited
    from faults f join fates m on m.run = f.run and m.copy_route = f.route and not f.aside
    where not m.baseline and m.scheduled_ns <= f.off_lo - 1_000_000_000 and m.copy_ns >= f.off_lo
      and m.scheduled_ns >= f.on_lo
      and leaves_no_trace(f.type)
      and not exists (from copies c where c.run = f.run and c.route = f.route
                      and c.end_ns > f.on_hi and c.end_ns < f.off_lo)
    group by f.run, f.fault
), shown as (
    select f.run, f.fault, f.incident, f.type, f.target, coalesce(p.in_play, b.in_play, 0) as in_play,
           coalesce(t.attempts, 0) as attempts, a.run is not null as detected, s.run is not null as switched,
           coalesce(l.overdue, 0) as overdue, coalesce(w.waited, 0) as waited
    from asked f
    left join play p on p.run = f.run and p.fault = f.fault
    left join play_of_events b on b.run = f.run and b.fault = f.fault
    left join tried t on t.run = f.run and t.fault = f.fault
    left join avoided a on a.run = f.run and a.fault = f.fault
    left join incidents i on i.run = f.run and i.incident = f.incident
    left join switches s on s.run = f.run and s.incident = f.incident and list_contains(i.lead_routes, f.route)
         and not f.aside
         and s.switched_ns <= f.off_hi + 5_000_000_000
    left join late l on l.run = f.run and l.fault = f.fault
    left join waited w on w.run = f.run and w.fault = f.fault
)
select *, in_play > 0 and (target = 'system' or attempts > 0 or detected or switched or overdue > 0 or waited > 0) as exposed
from shown;
