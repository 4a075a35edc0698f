-- The events of made-up messages, by arithmetic on their numbers. `course` has one row; times are nanoseconds.

create table course (
    run varchar, messages bigint, every_ns bigint, first_ns bigint, gap_ns bigint, outage_ns bigint, token_base ubigint
);
create table planted (i bigint, what varchar);

-- Spreads numbers like a hash, and never gives two the same.
create macro mixed(x) as
    cast((cast(xor(cast(x as ubigint), cast(x as ubigint) >> 31) as uhugeint) * 11400714819323198485)
         & cast(18446744073709551615 as uhugeint) as ubigint);

-- What each message of [lowest, highest) does when all goes well. Those before an outage by less than it takes to send
-- them are caught by it. Who is caught and urgent goes by the backup once the system has noticed (`took_ns`), the rest
-- in waves when the primary is seen to be back, 3 s after the outage.
create macro sent(lowest, highest) as table
with placed as (
    select i, c.*, i * c.every_ns as at_ns, i % $marketing_every = 0 as marketing,
           least(greatest((i * c.every_ns - c.first_ns + 50_000_000) // c.gap_ns, 0), $outages - 1) * c.gap_ns + c.first_ns as on_ns
    from range(lowest, highest) r(i), course c
), caught as (
    select *, at_ns - on_ns + 50_000_000 as into_ns, (outage_ns - 1_000_000_000) // $waves as slice_ns,
           at_ns >= on_ns - 50_000_000 and at_ns < on_ns + outage_ns + 3_000_000_000 as broken
    from placed
)
select i, run, at_ns, at_ns < $baseline_ns as baseline, marketing, broken,
       format('{:016x}', mixed(token_base + cast(i as ubigint))) as token,
       case when broken and not marketing then greatest(at_ns + 50_000_000, on_ns + 2_100_000_000 + into_ns // 10)
            when broken then on_ns + outage_ns + 3_000_000_000 + into_ns // slice_ns * 2_000_000_000
                             + into_ns % slice_ns * 1_000_000_000 // slice_ns
            else at_ns + 50_000_000 end as took_ns,
       broken and not marketing as by_backup,
       at_ns >= $baseline_ns + 5_000_000_000
           and (at_ns < on_ns - 5_000_000_000 or at_ns >= on_ns + outage_ns + 40_000_000_000) as calm
from caught;

create macro calm(lowest, highest) as table
select i, marketing, i % $deferred_every = 5 as deferred from sent(lowest, highest) where calm;

-- The attempts of each message: most have one; some are deferred once; a planted duplicate has a second copy 3 s later,
-- by the backup where the first answer was lost, else by the same route again. A lost one has none.
create macro attempted(lowest, highest) as table
with marked as (
    select s.*, p.what from sent(lowest, highest) s left join planted p using (i)
)
select i, token, run, took_ns + case when what is null and calm and i % $deferred_every = 5 then 300_000_000 else 0 end as took_ns,
       by_backup, case when what = 'duplicate' and i % 2 = 0 then 'ack-lost' else 'accepted' end as result, 1 as copy
from marked where what is distinct from 'lost'
union all
select i, token, run, took_ns, by_backup, 'deferred', 0 from marked where what is null and calm and i % $deferred_every = 5
union all
select i, token, run, took_ns + 3_000_000_000, i % 2 = 0, 'accepted', 2 from marked where what = 'duplicate';

-- All events of the messages; the records of each provider go on from the numbers given.
create macro message_events(lowest, highest, primary_n, backup_n) as table
with numbered as (
    select *, case when by_backup then 'sendgrid' else 'm365' end as source,
           row_number() over (partition by by_backup order by took_ns, i, copy)
           + case when by_backup then backup_n else primary_n end as n
    from attempted(lowest, highest)
)
select run, 'message.submitting' as kind, at_ns as t_ns, token, 'c.' || token || '@customer.example' as recipient,
       case when marketing then 'newsletter' else 'receipts' end as stream,
       case when marketing then 'marketing' else 'transactional' end as class, at_ns as scheduled_ns,
       case when not marketing then 1_000_000_000 end as within_ns, case when baseline then true end as baseline
from sent(lowest, highest)
union all by name
select run, 'message.submitted' as kind, at_ns + 1_000_000 as t_ns, token, 'c.' || token || '@customer.example' as recipient,
       'accepted' as result, 202 as code
from sent(lowest, highest)
union all by name
select run, 'receipt' as kind, took_ns as t_ns, source, n, source as provider,
       case when by_backup then 'backup' else 'primary' end as route, case when by_backup then 'api' else 'smtp' end as endpoint,
       result, source || '-' || n as attempt, token, 'c.' || token || '@customer.example' as recipient,
       case when result = 'deferred' then 451 when by_backup then 202 else 250 end as code,
       case when result = 'deferred' then '4.7.500 Server busy' when by_backup then '' else '2.0.0 OK' end as text,
       took_ns - 10_000_000 as begin_ns, took_ns as end_ns, source || '-c' || n // 100 as connection,
       case when by_backup then 'backup' else 'primary' end as account,
       ['recipient', 'header', 'nonce'] as carriers, repeat(token, 4) as body_sha256, n * 1000 as body_offset, 1000 as body_bytes
from numbered;

-- What the system says of itself, read so often: whether the primary is down, and how many messages wait.
create macro signal_events(poll_ns, polls, depth_ns, depths) as table
with reads as (
    select c.*, 'detected' as signal, r.tick * poll_ns as t_ns, poll_ns as apart_ns from range(polls) r(tick), course c
    union all
    select c.*, 'queue_depth', r.tick * depth_ns, depth_ns from range(depths) r(tick), course c
), placed as (
    select *, least(greatest((t_ns - first_ns) // gap_ns, 0), $outages - 1) * gap_ns + first_ns as on_ns from reads
)
select run, 'signal' as kind, t_ns, signal, case when signal = 'detected' then 'primary' end as route,
       cast(case when signal = 'detected'
                 then to_json(t_ns >= on_ns + 2_000_000_000 and t_ns < on_ns + outage_ns + 3_000_000_000)
                 else to_json(case when t_ns >= on_ns and t_ns < on_ns + outage_ns + 3_000_000_000
                                   then (t_ns - on_ns) // every_ns // $marketing_every else 0 end) end as json) as value,
       'http /status' as how, greatest(t_ns - apart_ns, 0) as previous_read_ns
from placed;
