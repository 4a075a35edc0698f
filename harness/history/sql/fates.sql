-- What became of each message, and when it was overdue.

-- What the SUT said of each message; where it named no recipient it meant all of that token's.
create table _said as
select m.run, e.seq, e.t_ns, m.rowid as message, m.token, m.rkey, e.state, e.events_known
from (select run, seq, t_ns, token, recipient, state, events_known from events where kind = 'system.state') e join _messages m
  on m.run = e.run and m.token = e.token and (e.recipient is null or lower(e.recipient) = m.rkey);

-- The last thing it said of a message, with the events that it knew of by then, and since when it has been saying so.
create table states as
with said as (
    select run, message, token, rkey, state, t_ns, last_value(state) over told as final_state,
           last_value(events_known) over told as final_events, max(t_ns) over told as final_ns
    from _said
    window told as (partition by message order by t_ns, seq
                    rows between unbounded preceding and unbounded following)
), changed as (
    select *, max(case when state <> final_state then t_ns end) over (partition by message) as other_ns from said
)
select run, message, token, rkey, any_value(final_state) as state,
       coalesce(min(t_ns) filter (other_ns is null or t_ns > other_ns), any_value(final_ns)) as since_ns,
       any_value(other_ns) is not null as changed, any_value(final_events) as events_known,
       any_value(final_ns) as read_ns
from changed group by run, message, token, rkey;

-- Ends that left the system no time to read an answer. One that was asked to end has it.
create view kills as select run, t_ns from process_changes where change in ('killed', 'exited');

-- Every end after which it was started again, or never had the choice.
create view restarts as
select run, t_ns from kills
union all
select s.run, s.t_ns from process_changes s
where s.change = 'stopped'
  and exists (from process_changes c where c.run = s.run and c.change = 'started' and c.seq > s.seq);

-- Messages whose fate the SUT cannot know: only these may it hold back.
create table unknown_fates as
with last_words as (
    select k.run, k.t_ns, s.message, s.token, s.rkey, arg_max(s.state, (s.t_ns, s.seq)) as state
    from kills k join _said s on s.run = k.run and s.t_ns <= k.t_ns
    group by k.run, k.t_ns, s.message, s.token, s.rkey
)
select run, message, token, rkey, min(why) as why, max(at_ns) as at_ns from (
    select run, message, token, rkey, 'acknowledgement lost' as why, end_ns as at_ns from lost_acks
    union all
    select run, message, token, rkey, 'body aborted', end_ns from receipts where result = 'aborted' and canary is null
    union all
    select r.run, r.message, r.token, r.rkey, 'in flight at a kill', k.t_ns
    from receipts r join kills k on k.run = r.run
    where r.canary is null and r.begin_ns - r.error_ns <= k.t_ns and k.t_ns <= r.end_ns + r.error_ns
    union all
    select run, message, token, rkey, 'in flight at a kill', t_ns from last_words where state = 'sending'
    union all
    -- The answer came while nobody could read it, and who waits for one has given up before it could be read.
    select r.run, r.message, r.token, r.rkey, 'answered during a ' || f.type, r.end_ns
    from receipts r join faults f on f.run = r.run and f.type in ('pause', 'partition')
    where r.canary is null and r.end_ns + r.error_ns >= f.on_lo and r.end_ns - r.error_ns <= f.off_hi
    union all
    -- What a blackhole or a partition swallowed, or a kill caught before its first byte, leaves no receipt; nor does a
    -- request whose connection was cut or reset, or that hung at its head, before anybody read whose it was, nor one that
    -- was on its way as an outage or a turned proxy closed every connection. A restart that took too long ended in a kill.
    -- What was tried since shows what became of it, and what was taken before is no riddle.
    select m.run, m.rowid, m.token, m.rkey, 'perhaps swallowed by a fault', greatest(m.scheduled_ns, f.on_lo)
    from _messages m join faults f on f.run = m.run and f.endpoint is null and not f.aside
         and (f.type in ('blackhole', 'partition', 'kill', 'reset')
              or f.type in ('outage', 'auth-failure') and m.scheduled_ns <= f.on_hi
              or f.type = 'cut' and f.attributes ->> '$.stream' = 'upstream'
              or f.type in ('hang', 'disconnect') and f.attributes ->> '$.stage' = 'head'
              or f.type = 'restart' and exists (from kills k where k.run = f.run
                                                and k.t_ns between f.on_lo and f.off_hi))
    where m.scheduled_ns <= f.off_hi and m.copy_ns is null
      and not exists (from receipts r
          where r.message = m.rowid and r.end_ns + r.error_ns >= f.on_lo)
) where message is not null group by run, message, token, rkey;

-- What providers said of messages afterwards that makes up for a missing copy.
create table _bounced as
select distinct m.rowid as message
from (select run, token, recipient from events where kind = 'provider.event' and event = 'bounced') e
join _messages m
  on m.run = e.run and m.token = e.token and (e.recipient is null or lower(e.recipient) = m.rkey);

-- Messages that the SUT did not send, since by then their recipient had said a final no to another one: who said no to
-- this one was written to. Where it never said anything else, they may have been suppressed since the no.
create view _suppressed as
select s.message, case when s.changed then greatest(s.since_ns, u.at_ns) else u.at_ns end as suppressed_ns,
       u.error_ns as suppressed_error_ns
from states s join unwanted u on u.run = s.run and u.rkey = s.rkey
where s.state = 'suppressed' and u.token is distinct from s.token;

-- Messages of which there is more to say than `_messages` does, and what: those with several copies, or fewer than were
-- taken, or receipts that the pass over all could not give them, are counted anew; and what was said of them.
create table _exceptions as
with recount as (
    select rowid as message from _messages where copies > 1 or starts_with(token, 'canary')
    union
    select m.rowid from _messages m join runs r
      on r.run = m.run and list_contains(r.system_canaries, m.rkey)
    union
    select message from _undone
    union
    select message from _receipts where unaddressed
), counted as (
    select message, true as counted, count(*) filter (attempted) as attempts,
           min(end_ns) filter (taken) as taken_ns,
           count(*) filter (copy) as copies, min(end_ns) filter (copy) as copy_ns,
           arg_min(route, (end_ns, seq)) filter (copy) as copy_route, max(error_ns) filter (copy) as error_ns,
           bool_or(observed_after) filter (copy) as observed_after
    from (select message, route, end_ns, r.seq, error_ns, observed_after, canary is null as attempted,
                 attempted and result in ('accepted', 'ack-lost') as taken, taken and u.seq is null as copy
          from recount join _receipts r using (message)
          left join (select distinct run, seq from _undone) u on u.run = r.run and u.seq = r.seq)
    group by message
), dropped as (
    select distinct message from _undone where event = 'dropped'
), returned as (
    select m.rowid as message from _messages m semi join (
        select run, token from receipts where notice = 'failed' and result in ('accepted', 'ack-lost')
    ) using (run, token)
), beside as (
    select m.rowid as message, k.fallback_ns, k.fallback_route, k.fallback_error_ns, k.fallback_taken_ns, k.fallback_bounced
    from _messages m join fallbacks k using (run, token)
), concerned as (
    select message from counted union select message from _bounced union select message from returned
    union select message from beside union select message from states union select message from unknown_fates
)
select c.message, n.counted, n.attempts, n.taken_ns, n.copies, n.copy_ns, n.copy_route,
       n.error_ns, n.observed_after, b.message is not null as bounced, u.message is not null as dropped, g.message is not null as returned, k.fallback_ns, k.fallback_route,
       k.fallback_error_ns, k.fallback_taken_ns, k.fallback_bounced,
       s.state, s.events_known, s.read_ns as state_read_ns, f.why as unknown_fate,
       case when s.state = 'held' and f.why is not null
            then case when s.changed then s.since_ns else least(s.since_ns, f.at_ns) end end as held_ns,
       p.suppressed_ns, p.suppressed_error_ns
from concerned c
left join counted n using (message)
left join dropped u using (message)
left join _bounced b using (message)
left join returned g using (message)
left join beside k using (message)
left join states s using (message)
left join unknown_fates f using (message)
left join _suppressed p using (message);

-- How the SUT answered in all: accepted if any offer was, refused only if every offer certainly was.
create macro answered(accepted_ns, refusals, offers) as
    case when accepted_ns is not null then 'accepted' when refusals = offers then 'refused' else 'indeterminate' end;

-- One row per (token, recipient) offered to the SUT. `message` is its number in this opening, by which receipts and copies
-- are joined most cheaply.
create view messages as
select rowid as message, run, token, rkey, coalesce(spelt, rkey) as recipient, stream, class, scheduled_ns, first_offer_ns, offers,
       within_ns, expires_ns, baseline, accepted_ns,
       answered(accepted_ns, refusals, offers) as result
from _messages;

-- The same with everything that decides the message's fate. Times are null where it did not happen.
create view fates as
with told as (
    -- Of most there is no more to say; to join these with nothing costs more than to read them.
    select m.rowid as message, m.* from _messages m anti join _exceptions x on x.message = m.rowid
    union all by name
    select m.rowid as message, m.*, x.counted, x.attempts as attempts_counted, x.taken_ns, x.copies as copies_counted,
           x.copy_ns as copy_counted_ns, x.copy_route as route_counted, x.error_ns as error_counted_ns,
           x.observed_after as after_counted, x.bounced, x.dropped, x.returned, x.fallback_ns, x.fallback_route,
           x.fallback_error_ns, x.fallback_taken_ns, x.fallback_bounced, x.state, x.events_known, x.state_read_ns,
           x.unknown_fate, x.held_ns, x.suppressed_ns, x.suppressed_error_ns
    from _messages m join _exceptions x on x.message = m.rowid
)
select message, run, token, rkey, coalesce(spelt, rkey) as recipient, stream, class, scheduled_ns, first_offer_ns, offers,
       within_ns, expires_ns, baseline, accepted_ns, answered(accepted_ns, refusals, offers) as result,
       case when counted then copies_counted else copies end as copies,
       case when counted then copy_counted_ns else copy_ns end as copy_ns,
       case when counted then route_counted else copy_route end as copy_route,
       coalesce(case when counted then error_counted_ns else error_ns end, 0) as error_ns,
       coalesce(case when counted then after_counted else observed_after end, false) as observed_after,
       case when counted then attempts_counted else attempts end as attempts,
       case when counted then taken_ns else copy_ns end as taken_ns,
       coalesce(bounced, false) as bounced, coalesce(dropped, false) as dropped, coalesce(returned, false) as returned,
       fallback_ns, fallback_route, fallback_error_ns, fallback_taken_ns, coalesce(fallback_bounced, false) as fallback_bounced,
       state, events_known, state_read_ns, unknown_fate, held_ns,
       case when result <> 'refused' then suppressed_ns end as suppressed_ns,
       case when result <> 'refused' then suppressed_error_ns end as suppressed_error_ns
from told;

-- Transactional messages past their time, [from_ns, until_ns); until_ns is null where nothing ever ended it. One that
-- bounced was on time if its provider took it in time. A copy by a fallback channel ends it as one by mail does, and so does
-- a suppression that has a reason. One that the driver offered late is overdue all the same, but the system had no part in
-- the time from from_ns to offered_from_ns.
create table overdue as
with due as (
    select f.run, f.token, f.recipient, f.rkey, f.stream, f.scheduled_ns, f.scheduled_ns + f.within_ns as from_ns,
           greatest(f.scheduled_ns, f.first_offer_ns) + f.within_ns as offered_from_ns,
           least(f.copy_ns, f.fallback_ns, f.held_ns, f.suppressed_ns, f.expires_ns,
                 case when f.bounced then f.taken_ns end) as until_ns,
           greatest(f.error_ns, f.fallback_error_ns, f.suppressed_error_ns) as error_ns, r.watch_end_ns
    from fates f join runs r using (run)
    where f.class = 'transactional' and not f.baseline  -- without a time to keep, from_ns is null
)
select * exclude (watch_end_ns) from due
where from_ns < watch_end_ns and (until_ns is null or until_ns > from_ns);

-- How many are overdue at once: `n` holds from t_ns to the next step. What ends at an instant no longer counts at it.
-- Counted twice: each from its scheduled time; and each from when it was really offered to when it was surely overdue
-- last, its copy's clock error before its end: what there is of it then is the system's own, whatever the clocks say.
create table overdue_steps as
select run, counted_from, t_ns,
       cast(sum(step) over (partition by run, counted_from order by t_ns rows unbounded preceding) as bigint) as n
from (
    select run, counted_from, t_ns, sum(step) as step from (
        select run, 'scheduled' as counted_from, from_ns as t_ns, 1 as step from overdue
        union all
        select run, 'scheduled', until_ns, -1 from overdue where until_ns is not null
        union all
        select run, 'offered', offered_from_ns, 1 from overdue
        where until_ns is null or until_ns - error_ns > offered_from_ns
        union all
        select run, 'offered', until_ns - error_ns, -1 from overdue where until_ns - error_ns > offered_from_ns
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

-- Whether nothing moves any more at the end of the record. `quiet` is null where the SUT's longest retry, or its queue's
-- depth, is not known.
-- given_ns is how long the SUT was left alone: since the last message was offered or accepted, and the last fault over.
create view quiescence as
select r.run, r.watch_end_ns - greatest(m.last_ns, t.last_ns, o.off_ns) as quiet_ns,
       r.watch_end_ns - greatest(m.last_ns, o.off_ns) as given_ns,
       2 * r.longest_retry_ns as needed_ns, q.depth as queue_depth,
       r.watch_end_ns - greatest(m.last_ns, t.last_ns, o.off_ns) >= 2 * r.longest_retry_ns
           and (q.run is null or q.depth = 0) as quiet
from runs r
join (select run, max(greatest(first_offer_ns, accepted_ns)) as last_ns from messages group by run) m on m.run = r.run
left join (select run, max(end_ns) as last_ns from receipts where canary is null group by run) t on t.run = r.run
left join (select run, max(off_hi) as off_ns from faults group by run) o on o.run = r.run
left join (
    select run, last(number order by t_ns, seq) as depth from readings
    where signal = 'queue_depth' group by run
) q on q.run = r.run;
