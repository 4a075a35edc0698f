-- What became of each message, and when it was overdue.

-- What the SUT said of each message; where it named no recipient it meant all of that token's.
create view _said as
select e.run, e.seq, e.t_ns, m.token, m.rkey, e.state, e.events_known
from events e join messages m
  on m.run = e.run and m.token = e.token and (e.recipient is null or lower(e.recipient) = m.rkey)
where e.kind = 'system.state';

-- The last thing it said of a message, with the events that it knew of by then, and since when it has been saying so.
create table states as
with said as (
    select run, token, rkey, state, t_ns, last_value(state) over told as final_state,
           last_value(events_known) over told as final_events, max(t_ns) over told as final_ns
    from _said
    window told as (partition by run, token, rkey order by t_ns, seq
                    rows between unbounded preceding and unbounded following)
), changed as (
    select *, max(case when state <> final_state then t_ns end) over (partition by run, token, rkey) as other_ns
    from said
)
select run, token, rkey, any_value(final_state) as state,
       coalesce(min(t_ns) filter (state = final_state and t_ns > other_ns),
                min(t_ns) filter (state = final_state and other_ns is null), any_value(final_ns)) as since_ns,
       any_value(other_ns) is not null as changed, any_value(final_events) as events_known,
       any_value(final_ns) as read_ns
from changed group by run, token, rkey;

-- Ends that left the system no time to read an answer. One that was asked to end has it.
create view kills as select run, t_ns from process_changes where change in ('killed', 'exited');

-- Every end after which it was started again, or never had the choice.
create view restarts as
select run, t_ns from kills
union all
select s.run, s.t_ns from process_changes s
where s.change = 'stopped'
  and exists (select 1 from process_changes c where c.run = s.run and c.change = 'started' and c.seq > s.seq);

-- Messages whose fate the SUT cannot know: only these may it hold back.
create table unknown_fates as
with last_words as (
    select k.run, k.t_ns, s.token, s.rkey, arg_max(s.state, (s.t_ns, s.seq)) as state
    from kills k join _said s on s.run = k.run and s.t_ns <= k.t_ns
    group by k.run, k.t_ns, s.token, s.rkey
)
select run, token, rkey, min(why) as why, max(at_ns) as at_ns from (
    select run, token, rkey, 'acknowledgement lost' as why, end_ns as at_ns from lost_acks
    union all
    select run, token, rkey, 'body aborted', end_ns from receipts where result = 'aborted' and canary is null
    union all
    select r.run, r.token, r.rkey, 'in flight at a kill', k.t_ns
    from receipts r join kills k on k.run = r.run
    where r.canary is null and r.begin_ns - r.error_ns <= k.t_ns and k.t_ns <= r.end_ns + r.error_ns
    union all
    select run, token, rkey, 'in flight at a kill', t_ns from last_words where state = 'sending'
    union all
    -- The answer came while nobody could read it, and who waits for one has given up before it could be read.
    select r.run, r.token, r.rkey, 'answered during a ' || f.type, r.end_ns
    from receipts r join faults f on f.run = r.run and f.type in ('pause', 'partition')
    where r.canary is null and r.end_ns + r.error_ns >= f.on_lo and r.end_ns - r.error_ns <= f.off_hi
    union all
    -- What a blackhole or a partition swallowed, or a kill caught before its first byte, leaves no receipt; nor does a
    -- request whose connection was cut or reset, or that hung at its head, before anybody read whose it was, nor one that
    -- was on its way as an outage or a turned proxy closed every connection. A restart that took too long ended in a kill.
    -- What was tried since shows what became of it.
    select m.run, m.token, m.rkey, 'perhaps swallowed by a fault', greatest(m.scheduled_ns, f.on_lo)
    from messages m join faults f on f.run = m.run and f.endpoint is null and not f.aside
         and (f.type in ('blackhole', 'partition', 'kill', 'reset')
              or f.type in ('outage', 'auth-failure') and m.scheduled_ns <= f.on_hi
              or f.type = 'cut' and f.attributes ->> '$.stream' = 'upstream'
              or f.type in ('hang', 'disconnect') and f.attributes ->> '$.stage' = 'head'
              or f.type = 'restart' and exists (select 1 from kills k where k.run = f.run
                                                and k.t_ns between f.on_lo and f.off_hi))
    where m.scheduled_ns <= f.off_hi and not exists (select 1 from receipts r
          where r.run = m.run and r.token = m.token and r.rkey = m.rkey and r.end_ns + r.error_ns >= f.on_lo)
) where token is not null group by run, token, rkey;

-- One row per message with everything that decides its fate. Times are null where it did not happen.
create table fates as
with arrived as (
    select run, token, rkey, count(*) as copies, min(end_ns) as copy_ns, arg_min(route, (end_ns, seq)) as route,
           max(end_ns) as last_copy_ns, max(error_ns) as error_ns, bool_or(observed_after) as observed_after
    from copies where known group by run, token, rkey
), undone as (
    select run, token, rkey, bool_or(event = 'bounced') as bounced, bool_or(event = 'dropped') as dropped
    from _undone group by run, token, rkey
), bounced as (
    select distinct m.run, m.token, m.rkey
    from events e join messages m
      on m.run = e.run and m.token = e.token and (e.recipient is null or lower(e.recipient) = m.rkey)
    where e.kind = 'provider.event' and e.event = 'bounced'
), returned as (
    select distinct run, token from receipts where notice = 'failed' and result in ('accepted', 'ack-lost')
), tried as (
    select run, token, rkey, count(*) as attempts,
           min(end_ns) filter (result in ('accepted', 'ack-lost') and notice is null) as taken_ns
    from receipts where known and canary is null
    group by run, token, rkey
)
select m.*, coalesce(a.copies, 0) as copies, a.copy_ns, a.last_copy_ns, a.route as copy_route,
       coalesce(a.error_ns, 0) as error_ns, coalesce(a.observed_after, false) as observed_after,
       coalesce(t.attempts, 0) as attempts, t.taken_ns,
       b.token is not null or coalesce(u.bounced, false) as bounced, coalesce(u.dropped, false) as dropped,
       g.token is not null as returned, k.fallback_ns, k.fallback_route,
       coalesce(k.fallback_error_ns, 0) as fallback_error_ns, k.fallback_taken_ns,
       coalesce(k.fallback_bounced, false) as fallback_bounced,
       s.state, s.since_ns as state_since_ns, s.events_known, s.read_ns as state_read_ns, f.why as unknown_fate,
       case when s.state = 'held' and f.why is not null
            then case when s.changed then s.since_ns else least(s.since_ns, f.at_ns) end end as held_ns
from messages m
left join arrived a using (run, token, rkey)
left join tried t using (run, token, rkey)
left join undone u using (run, token, rkey)
left join bounced b using (run, token, rkey)
left join returned g using (run, token)
left join fallbacks k using (run, token)
left join states s using (run, token, rkey)
left join unknown_fates f using (run, token, rkey);

-- Transactional messages past their time, [from_ns, until_ns); until_ns is null where nothing ever ended it. One that
-- bounced was on time if its provider took it in time. A copy by a fallback channel ends it as one by mail does. One that
-- the driver offered late is overdue all the same, but the system had no part in the time from from_ns to offered_from_ns.
create table overdue as
with due as (
    select f.run, f.token, f.recipient, f.rkey, f.stream, f.scheduled_ns, f.scheduled_ns + f.within_ns as from_ns,
           greatest(f.scheduled_ns, f.first_offer_ns) + f.within_ns as offered_from_ns,
           least(f.copy_ns, f.fallback_ns, f.held_ns, f.expires_ns, case when f.bounced then f.taken_ns end) as until_ns, f.error_ns, r.watch_end_ns
    from fates f join runs r using (run)
    where f.class = 'transactional' and f.within_ns is not null and not f.baseline
)
select * exclude (watch_end_ns) from due
where from_ns < watch_end_ns and (until_ns is null or until_ns > from_ns);

-- How many are overdue at once: `n` holds from t_ns to the next step. What ends at an instant no longer counts at it.
-- Counted twice: each from its scheduled time, and each from when it was really offered.
create table overdue_steps as
select run, counted_from, t_ns,
       cast(sum(step) over (partition by run, counted_from order by t_ns rows unbounded preceding) as bigint) as n
from (
    select run, counted_from, t_ns, sum(step) as step from (
        select run, 'scheduled' as counted_from, from_ns as t_ns, 1 as step from overdue
        union all
        select run, 'scheduled', until_ns, -1 from overdue where until_ns is not null
        union all
        select run, 'offered', offered_from_ns, 1 from overdue where until_ns is null or until_ns > offered_from_ns
        union all
        select run, 'offered', until_ns, -1 from overdue where until_ns > offered_from_ns
    ) group by run, counted_from, t_ns
);

-- Maximal stretches with at least so many overdue; until_ns is null where it never ended.
create macro impacts_by(min_overdue) as table
with steps as (
    select run, counted_from, t_ns, n >= min_overdue as hit,
           lag(n >= min_overdue, 1, false) over (partition by run, counted_from order by t_ns) as was
    from overdue_steps
)
select run, counted_from, t_ns as from_ns,
       lead(t_ns) over (partition by run, counted_from order by t_ns) as until_ns
from steps where hit <> was
qualify hit;

create macro impacts(min_overdue) as table
select run, from_ns, until_ns from impacts_by(min_overdue) where counted_from = 'scheduled';

-- Whether nothing moves any more at the end of the record. `quiet` is null where the SUT's longest retry is not known.
create view quiescence as
select r.run, r.watch_end_ns - greatest(m.last_ns, t.last_ns, o.off_ns) as quiet_ns,
       2 * r.longest_retry_ns as needed_ns, q.depth as queue_depth,
       r.watch_end_ns - greatest(m.last_ns, t.last_ns, o.off_ns) >= 2 * r.longest_retry_ns
           and (q.run is null or coalesce(q.depth = 0, false)) as quiet
from runs r
join (select run, max(greatest(first_offer_ns, accepted_ns)) as last_ns from messages group by run) m on m.run = r.run
left join (select run, max(end_ns) as last_ns from receipts where canary is null group by run) t on t.run = r.run
left join (select run, max(off_hi) as off_ns from faults group by run) o on o.run = r.run
left join (
    select run, last(number order by t_ns, seq) as depth from readings
    where signal = 'queue_depth' group by run
) q on q.run = r.run;
