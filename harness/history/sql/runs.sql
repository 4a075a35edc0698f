-- Runs, clocks, and the messages that were submitted.

-- Names of which there are few take a byte or two in the tables that are as long as the history; to a query they are text.
create type _run as enum (select distinct run from events where run is not null order by run);
create type _source as enum (select distinct source from events where source is not null order by source);
create type _provider as enum (select distinct provider from events where provider is not null order by provider);
create type _route as enum (
    select route from events where route is not null
    union select split_part(target, '.', 1) from events where target is not null order by 1
);
create type _endpoint as enum (select distinct endpoint from events where endpoint is not null order by endpoint);
create type _result as enum (select distinct result from events where result is not null order by result);
create type _stream as enum (select distinct stream from events where stream is not null order by stream);
create type _class as enum (select distinct class from events where class is not null order by class);

-- A duration as a scenario writes it ('2s', '400ms') or as plain nanoseconds.
create macro duration_ns(written) as
    coalesce(try_cast(written as bigint),
             cast(round(cast(regexp_extract(written, '[\d.]+') as double)
                        * case regexp_extract(written, '[a-z]+')
                               when 'ms' then 1e6 when 's' then 1e9 when 'm' then 6e10 when 'min' then 6e10
                               when 'h' then 3.6e12 end) as bigint));

-- One row a source: its times are right to +- error_ns. A drift between start and end counts as error.
create table clock as
select cast(run as _run) as run, source, max(error_ns) + (max(offset_ns) - min(offset_ns)) as error_ns
from events where kind = 'clock.calibrated' group by run, source;

-- One row a run. The record ends at watch_end_ns: what would have come later is unknown.
create table runs as
with spans as (
    select run,
           min(t_ns) filter (phase = 'teardown') as teardown_ns, min(t_ns) filter (kind = 'run.finished') as finished_ns,
           any_value(outcome) as outcome, any_value(scenario) as scenario, any_value(seed) as seed,
           any_value(resolved) as resolved, any_value(wall_start) as wall_start,
           any_value(routes_without_mail) as routes_without_mail
    from events where kind in ('run.started', 'phase.entered', 'run.finished') group by run
), lasts as (
    select cast(run as _run) as run, greatest(max(t_ns), 0) as last_ns from events group by run
)
select run, scenario, seed, wall_start, outcome, coalesce(teardown_ns, finished_ns, last_ns) as watch_end_ns,
       duration_ns(resolved ->> '$.system.longest_retry') as longest_retry_ns,
       coalesce(cast(resolved -> '$.system.canaries' as varchar[]), []) as system_canaries,
       coalesce(routes_without_mail, []) as routes_without_mail,
       coalesce((select max(error_ns) from clock where clock.run = lasts.run), 0) as error_ns
from lasts left join spans using (run);

-- One row per (token, recipient) offered to the SUT, by one pass over offers, answers and receipts. `rowid` numbers them,
-- so that all that follows is joined by number. rkey is the recipient as compared: without regard to case; `spelt` is how
-- it was written where that differs. What it says of copies is right for those that have one at most, from a receipt that
-- named its recipient: of the others `_exceptions` tells. To ask, there are `messages` and `fates`.
create table _messages as
with told as (
    -- What an aggregate leaves out is null: a filter on each of them costs more.
    select cast(e.run as _run) as run, token, lower(recipient) as rkey, recipient, class, stream, scheduled_ns, within_ns,
           expires_ns, baseline,
           case when kind = 'message.submitting' then t_ns end as offered_ns,
           case when kind = 'message.submitted' and result = 'refused' then t_ns end as refused_ns,
           case when kind = 'message.submitted' and result = 'accepted' then t_ns end as accepted_ns,
           case when kind = 'receipt' and canary is null then end_ns end as attempt_ns,
           case when result in ('accepted', 'ack-lost') then attempt_ns end as copy_ns,
           case when copy_ns is not null then cast(route as _route) end as copy_route,
           case when copy_ns is not null then c.error_ns end as error_ns,
           case when copy_ns is not null then observed = 'after' end as observed_after
    from events e left join clock c on c.run = e.run and c.source = e.source
    where kind in ('message.submitting', 'message.submitted', 'receipt')
)
select run, token, rkey, any_value(case when recipient <> rkey and offered_ns is not null then recipient end) as spelt,
       any_value(cast(stream as _stream)) as stream, any_value(cast(class as _class)) as class,
       min(scheduled_ns) as scheduled_ns, min(offered_ns) as first_offer_ns, count(offered_ns) as offers,
       max(within_ns) as within_ns, max(expires_ns) as expires_ns, coalesce(bool_or(baseline), false) as baseline,
       count(refused_ns) as refusals, min(accepted_ns) as accepted_ns,
       count(attempt_ns) as attempts, count(copy_ns) as copies, min(copy_ns) as copy_ns, min(copy_route) as copy_route,
       max(error_ns) as error_ns, bool_or(observed_after) as observed_after
from told group by run, token, rkey having offers > 0;
