-- What the providers recorded: attempts, hand-offs, copies, lost acknowledgements.

-- One row per attempt and recipient, with the message it belongs to; `known` is false where nobody submitted such a
-- message. The harness's own canaries and the SUT's declared ones are marked, and never counted with the mail. A notice
-- is for the sender: one that went to the message's own recipient is a copy. Who is no mail address, as the phone number
-- of a fallback channel, is known by the token alone, and is a recipient of his own: no second copy of the mail.
create table _receipts as
select e.run, e.seq, e.source, e.n, e.provider, e.route, e.endpoint, e.result, e.attempt, e.token,
       coalesce(m.recipient, e.recipient) as recipient, coalesce(m.rkey, lower(e.recipient)) as rkey,
       e.code, e.text, coalesce(e.begin_ns, e.end_ns, e.t_ns) as begin_ns, coalesce(e.end_ns, e.t_ns) as end_ns,
       e.connection, e.retry_after_ns, e.fault, case when m.token is null then e.notice end as notice,
       e.observed = 'after' as observed_after,
       case when len(e.carriers) > 0 then list_contains(e.carriers, 'nonce') end as nonce,
       case when e.canary is not null then e.canary
            when starts_with(e.token, 'canary') then 'harness'
            when list_contains(r.system_canaries, lower(e.recipient)) then 'system' end as canary,
       coalesce(c.error_ns, 0) as error_ns,
       m.token is not null or coalesce(not contains(e.recipient, '@')
           and (e.run, e.token) in (select (run, token) from messages), false) as known, m.class, m.stream, m.scheduled_ns, m.expires_ns,
       coalesce(m.baseline, false) as baseline
from (select run, seq, t_ns, source, n, provider, route, endpoint, result, attempt, token, recipient, code, text, begin_ns,
             end_ns, connection, retry_after_ns, fault, notice, coalesce(observed, 'before') as observed, carriers, canary
      from events where kind = 'receipt') e
join runs r on r.run = e.run
left join clock c on c.run = e.run and c.source = e.source
left join messages m
       on m.run = e.run and m.token = e.token and (e.recipient is null or m.rkey = lower(e.recipient));

-- Every receipt but the harness's canaries.
create view receipts as select * from _receipts where canary is distinct from 'harness';

-- Requests at endpoints beside that of the mail, such as a token service, but the harness's own.
create view calls as
select e.run, e.seq, e.provider, e.route, e.endpoint, e.request, e.code, e.begin_ns, e.end_ns, e.fault,
       coalesce(c.error_ns, 0) as error_ns
from events e left join clock c on c.run = e.run and c.source = e.source
where e.kind = 'endpoint.called' and e.canary is distinct from 'harness';

-- One row per attempt, whatever the number of its recipients. The SUT's canaries count: a provider counts them.
create table attempts as
select run, source, attempt, any_value(provider) as provider, any_value(route) as route,
       any_value(endpoint) as endpoint, min(begin_ns) as begin_ns, max(end_ns) as end_ns, min(seq) as seq,
       count(*) as recipients, bool_or(result in ('deferred', 'refused')) as refused,
       max(retry_after_ns) as retry_after_ns, any_value(canary) as canary, bool_and(baseline) as baseline,
       bool_or(observed_after) as observed_after, max(error_ns) as error_ns
from receipts group by run, source, attempt;

-- The provider took responsibility, whether its answer arrived or not. A notice to the sender is no message of his.
create view handoffs as
select * from receipts where result in ('accepted', 'ack-lost') and canary is null and notice is null;

-- The i-th drop or bounce a provider tells of undoes the i-th hand-off of that message to it.
create view _undone as
with said as (
    select run, provider, token, lower(recipient) as rkey, event,
           row_number() over (partition by run, provider, token, lower(recipient) order by t_ns, seq) as i
    from events where kind = 'provider.event' and event in ('dropped', 'bounced') and token is not null
), taken as (
    select run, seq, provider, token, rkey,
           row_number() over (partition by run, provider, token, rkey order by end_ns, seq) as i
    from handoffs where (run, token) in (select (run, token) from said)
)
select t.run, t.seq, t.token, t.rkey, s.event
from taken t join said s
  on s.run = t.run and s.provider = t.provider and s.token = t.token and s.i = t.i
     and (s.rkey is null or s.rkey = t.rkey);

-- What a customer got. Baseline copies are marked; counts leave them out.
create table copies as
select run, seq, source, provider, route, endpoint, attempt, token, recipient, rkey, result, code, begin_ns, end_ns,
       connection, error_ns, observed_after, nonce, known, class, stream, scheduled_ns, expires_ns, baseline
from handoffs where (run, seq) not in (select (run, seq) from _undone);

-- Acknowledgements that the SUT did not get, or may not have got: the provider says so, or the connection was cut
-- right after its last answer (within 100 ms and the delay a fault imposed, on the way or on the answer itself).
create table lost_acks as
select run, seq, token, rkey, route, end_ns, true as certain from handoffs where result = 'ack-lost'
union all
select h.run, h.seq, h.token, h.rkey, h.route, h.end_ns, false
from (select run, source, t_ns, unnest(connections) as connection from events where kind = 'connections.closed') e
join handoffs h on h.run = e.run and h.source = e.source and h.connection = e.connection
left join route_delays d on d.run = h.run and d.route = h.route
left join faults s on s.run = h.run and s.fault = h.fault and s.type = 'slow-ack'
where h.result = 'accepted' and h.end_ns <= e.t_ns
  and exists (select 1 from faults f where f.run = h.run and f.target in (h.route, 'system')
              and e.t_ns between f.on_lo and f.off_hi + 100_000_000)
  and e.t_ns - h.end_ns <= 100_000_000 + coalesce(d.delay_ns, 0) + coalesce(1e6 * said(s.attributes, 'delay'), 0)
qualify row_number() over (partition by h.run, h.source, h.connection, e.t_ns order by h.end_ns desc, h.seq desc) = 1;

-- Numbers missing in a provider's record; anything could have been there.
create table gaps as
select run, source, max(n) - count(distinct n) as missing
from events where n is not null and source is not null
group by run, source having max(n) > count(distinct n);

-- How a run's healthy traffic was shared out before the storm.
create view baseline_shares as
select run, route, count(*) as copies from copies where baseline group by run, route;

-- Who is not to be written to any more, from the first refusal that was about him, or the first event that told of his
-- bounce or complaint and got through (`told`). Refusals of logins, senders and quotas are about the route.
create table unwanted as
with said as (
    select run, rkey, 'refused for good' as why, route, end_ns as at_ns, error_ns, false as told
    from receipts
    where result = 'refused' and canary is null and rkey is not null
      and (endpoint <> 'smtp' or regexp_matches(text, '^5\.(1\.([0-6]|10)|2\.1|4\.1)\b')
           or code in (550, 551, 553) and not regexp_matches(coalesce(text, ''), '^\d\.\d+\.\d'))
    union all
    select e.run, lower(e.recipient), e.event, e.route, e.t_ns, coalesce(c.error_ns, 0), true
    from events e left join clock c on c.run = e.run and c.source = e.source
    where e.kind = 'provider.event' and e.event in ('bounced', 'complained') and e.webhook in ('delivered', 'late')
      and e.canary is null and e.recipient is not null
)
select run, rkey, arg_min(why, (at_ns, told, route, why)) as why, arg_min(route, (at_ns, told, route, why)) as route,
       min(at_ns) as at_ns, arg_min(error_ns, (at_ns, told, route, why)) as error_ns, arg_min(told, (at_ns, told)) as told
from said group by run, rkey;
