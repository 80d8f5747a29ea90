-- all of them
bank = "127.0.0.1:38691"
__nowaiting = true
