-- What the providers recorded: attempts, hand-offs, copies, lost acknowledgements.

-- One row per attempt and recipient, with the message it belongs to; `message` is its number, and `known` is false where
-- nobody submitted such a message. The harness's own canaries and the SUT's declared ones are marked, and never counted
-- with the mail. A notice is for the sender: one that went to the message's own recipient is a copy. Who is no mail
-- address is known by the token alone, and is a recipient of his own: no second copy of the mail.
create table _receipts as
select e.run, e.seq, e.source, e.n, e.provider, e.route, e.endpoint, e.result, e.attempt, m.rowid as message,
       e.recipient is null as unaddressed, e.token,
       coalesce(m.spelt, m.rkey, e.recipient) as recipient, e.code, e.text, e.begin_ns, e.end_ns,
       e.connection, e.retry_after_ns, e.fault, case when m.rowid is null then e.notice end as notice,
       e.observed_after, e.nonce,
       case when e.canary is not null then e.canary
            when starts_with(e.token, 'canary') then 'harness'
            when len(r.system_canaries) > 0 and list_contains(r.system_canaries, e.rkey) then 'system' end as canary,
       coalesce(c.error_ns, 0) as error_ns, m.rowid is not null as known,
       m.class, m.stream, m.scheduled_ns, m.expires_ns, coalesce(m.baseline, false) as baseline
from (select cast(run as _run) as run, seq, cast(source as _source) as source, n, cast(provider as _provider) as provider,
             cast(route as _route) as route, cast(endpoint as _endpoint) as endpoint, cast(result as _result) as result,
             attempt, token, recipient, lower(recipient) as rkey, code, text, begin_ns, end_ns, connection, retry_after_ns,
             fault, notice,
             coalesce(observed = 'after', false) as observed_after,
             case when len(carriers) > 0 then list_contains(carriers, 'nonce') end as nonce, canary
      from events where kind = 'receipt') e
join runs r on r.run = e.run
left join clock c on c.run = e.run and c.source = e.source
left join _messages m on m.run = e.run and m.token = e.token and (e.recipient is null or m.rkey = e.rkey);

update _receipts r set known = true from (
    select distinct m.run, m.token from _messages m semi join (
        select run, token from _receipts where message is null and not contains(recipient, '@')
    ) using (run, token)
) m where r.run = m.run and r.token = m.token and not contains(r.recipient, '@');

-- Every receipt but the harness's canaries.
create view receipts as
select *, lower(recipient) as rkey from _receipts where canary is distinct from 'harness';

-- Requests at endpoints beside that of the mail, such as a token service, but the harness's own. `announced` is of those that
-- changed an incident on a status page: whether it told of one of the system's from then on.
create view calls as
select e.run, e.seq, e.provider, e.route, e.endpoint, e.request, e.code, e.begin_ns, e.end_ns, e.fault,
       e.announced, coalesce(c.error_ns, 0) as error_ns
from events e left join clock c on c.run = e.run and c.source = e.source
where e.kind = 'endpoint.called' and e.canary is distinct from 'harness';

-- Attempts with several recipients: these few are put together, all others are what their one receipt says.
create table _shared_attempts as
select run, source, attempt from receipts group by run, source, attempt having count(*) > 1;

-- One row per attempt, whatever the number of its recipients. The SUT's canaries count: a provider counts them.
create view attempts as
select run, source, attempt, provider, route, endpoint, begin_ns, end_ns, seq, 1 as recipients,
       result in ('deferred', 'refused') as refused, retry_after_ns, canary, baseline, observed_after, error_ns
from receipts anti join _shared_attempts using (run, source, attempt)
union all
select run, source, attempt, any_value(provider), any_value(route), any_value(endpoint), min(begin_ns), max(end_ns), min(seq),
       count(*), bool_or(result in ('deferred', 'refused')), max(retry_after_ns), any_value(canary), bool_and(baseline),
       bool_or(observed_after), max(error_ns)
from receipts semi join _shared_attempts using (run, source, attempt) group by run, source, attempt;

-- The provider took responsibility, whether its answer arrived or not. A notice to the sender is no message of his.
create view handoffs as
select * from receipts where result in ('accepted', 'ack-lost') and canary is null and notice is null;

-- The i-th drop or bounce a provider tells of undoes the i-th hand-off of that message to it.
create table _undone as
with said as (
    select run, provider, token, lower(recipient) as rkey, event,
           row_number() over (partition by run, provider, token, lower(recipient) order by t_ns, seq) as i
    from events where kind = 'provider.event' and event in ('dropped', 'bounced') and token is not null
), taken as (
    select run, seq, provider, token, rkey, message,
           row_number() over (partition by run, provider, token, rkey order by end_ns, seq) as i
    from handoffs semi join said using (run, token)
)
select t.run, t.seq, t.token, t.rkey, t.message, s.event
from taken t join said s
  on s.run = t.run and s.provider = t.provider and s.token = t.token and s.i = t.i
     and (s.rkey is null or s.rkey = t.rkey);

-- What a customer got. Baseline copies are marked; counts leave them out.
create view copies as
select run, seq, source, provider, route, endpoint, attempt, message, token, recipient, rkey, result, code, begin_ns, end_ns,
       connection, error_ns, observed_after, nonce, known, class, stream, scheduled_ns, expires_ns, baseline
from handoffs anti join _undone using (run, seq);

create table _closed as
select run, source, t_ns, unnest(connections) as connection from events where kind = 'connections.closed';

-- Acknowledgements that the SUT did not get, or may not have got: the provider says so, or the connection was cut
-- right after its last answer (within 100 ms and the delay a fault imposed, on the way or on the answer itself).
create table lost_acks as
select run, seq, message, token, rkey, route, end_ns, true as certain from handoffs where result = 'ack-lost'
union all
select h.run, h.seq, h.message, h.token, h.rkey, h.route, h.end_ns, false
from _closed e
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
select run, source, max(n) - cast(sum(bit_count(seen)) as bigint) as missing from (
    -- 64 numbers a row: to count which are there is much cheaper than to tell them all apart.
    select run, source, max(n) as n, bit_or(cast(1 as ubigint) << (n & 63)) as seen
    from events where n is not null and source is not null group by run, source, n >> 6
) group by run, source having max(n) > sum(bit_count(seen));

-- How a run's healthy traffic was shared out before the storm.
create table baseline_shares as
select run, route, count(*) as copies from copies where baseline group by run, route;

-- Who is not to be written to any more, from the first refusal that was about him, or the first event that told of his
-- bounce or complaint and got through (`told`), and of which message that was. Refusals of logins, senders and quotas are
-- about the route.
create table unwanted as
with said as (
    select run, seq, rkey, 'refused for good' as why, route, token, end_ns as at_ns, error_ns, false as told
    from receipts
    where result = 'refused' and canary is null and rkey is not null
      and (endpoint <> 'smtp' or regexp_matches(text, '^5\.(1\.([0-6]|10)|2\.1|4\.1)\b')
           or code in (550, 551, 553) and not regexp_matches(coalesce(text, ''), '^\d\.\d+\.\d'))
    union all
    select e.run, e.seq, lower(e.recipient), e.event, e.route, e.token, e.t_ns, coalesce(c.error_ns, 0), true
    from events e left join clock c on c.run = e.run and c.source = e.source
    where e.kind = 'provider.event' and e.event in ('bounced', 'complained') and e.webhook in ('delivered', 'late')
      and e.canary is null and e.recipient is not null
)
select run, rkey,
       unnest(min({'at_ns': at_ns, 'told': told, 'route': route, 'why': why, 'seq': seq, 'token': token, 'error_ns': error_ns}))
from said group by run, rkey;
