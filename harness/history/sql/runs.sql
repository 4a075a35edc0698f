-- Runs, clocks, and the messages that were submitted.

-- A duration as a scenario writes it ('2s', '400ms') or as plain nanoseconds.
create macro duration_ns(written) as
    case when written is null then null
         when regexp_full_match(written, '\d+') then cast(written as bigint)
         else cast(round(cast(regexp_extract(written, '^\s*([\d.]+)', 1) as double)
              * case regexp_extract(written, '([a-z]+)\s*$', 1)
                     when 'ms' then 1e6 when 's' then 1e9 when 'm' then 6e10 when 'min' then 6e10
                     when 'h' then 3.6e12 end) as bigint)
    end;

-- One row a source: its times are right to +- error_ns. A drift between start and end counts as error.
create table clock as
select run, source, max(error_ns) + (max(offset_ns) - min(offset_ns)) as error_ns
from events where kind = 'clock.calibrated' group by run, source;

-- One row a run. The record ends at watch_end_ns: what would have come later is unknown.
create table runs as
with spans as (
    select run,
           min(t_ns) filter (kind = 'phase.entered' and phase = 'storm') as t0_ns,
           min(t_ns) filter (kind = 'phase.entered' and phase = 'drain') as drain_ns,
           min(t_ns) filter (kind = 'phase.entered' and phase = 'teardown') as teardown_ns,
           min(t_ns) filter (kind = 'run.finished') as finished_ns,
           any_value(outcome) filter (kind = 'run.finished') as outcome,
           any_value(scenario) filter (kind = 'run.started') as scenario,
           any_value(seed) filter (kind = 'run.started') as seed,
           any_value(resolved) filter (kind = 'run.started') as resolved,
           any_value(wall_start) filter (kind = 'run.started') as wall_start,
           any_value(routes_without_mail) filter (kind = 'run.started') as routes_without_mail,
           max(greatest(t_ns, coalesce(end_ns, 0))) as last_ns
    from events group by run
)
select run, scenario, seed, wall_start, outcome, finished_ns is not null as finished, t0_ns, drain_ns,
       coalesce(teardown_ns, finished_ns, last_ns) as watch_end_ns,
       duration_ns(resolved ->> '$.system.longest_retry') as longest_retry_ns,
       coalesce(cast(resolved -> '$.system.canaries' as varchar[]), []) as system_canaries,
       coalesce(routes_without_mail, []) as routes_without_mail,
       coalesce((select max(error_ns) from clock where clock.run = spans.run), 0) as error_ns
from spans;

-- One row per (token, recipient) offered to the SUT. `result` is accepted if any offer was; refused only if
-- every offer certainly was. rkey is the recipient as compared: without regard to case.
create table messages as
with offered as (
    select run, token, lower(recipient) as rkey, any_value(recipient) as recipient, any_value(stream) as stream,
           any_value(class) as class, min(scheduled_ns) as scheduled_ns, min(t_ns) as first_offer_ns,
           count(*) as offers, max(within_ns) as within_ns, max(expires_ns) as expires_ns,
           coalesce(bool_or(baseline), false) as baseline
    from events where kind = 'message.submitting' group by run, token, lower(recipient)
), answered as (
    select run, token, lower(recipient) as rkey, count(*) as answers,
           count(*) filter (result = 'refused') as refusals,
           min(t_ns) filter (result = 'accepted') as accepted_ns
    from events where kind = 'message.submitted' group by run, token, lower(recipient)
)
select o.*, a.accepted_ns,
       case when a.accepted_ns is not null then 'accepted'
            when a.refusals = o.offers then 'refused'
            else 'indeterminate' end as result
from offered o left join answered a using (run, token, rkey);
