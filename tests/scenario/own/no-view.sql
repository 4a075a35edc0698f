select 'late' as why from mesages where run = $run
