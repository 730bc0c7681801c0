-- page: have the comparison page of a result made by `stemfix report`, beside REAPER.
return function (lib)
  local M = {}
  local files, engine, window = lib.use ("files"), lib.use ("engine"), lib.use ("window")
  local r = reaper
  local POLL_S = 0.25
  --- Whatever takes longer has hung or was ended.
  local PATIENCE_S = 900
  --- Runs the command, and notes what it said and how it ended: REAPER tells neither of a program it does not wait for.
  local MAKER = [[
import os
import subprocess
import sys

data, folder, log, status = sys.argv[1:]
os.environ["STEMFIX_DATA_DIR"] = data
command = [sys.executable, "-m", "stemfix", "report", folder, "--quiet"]
with open(log, "wb") as said:
    code = subprocess.call(command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT)
with open(status + ".part", "w") as file:
    file.write(str(code))
os.replace(status + ".part", status)
]]

  local function start (folder, log, status)
    local settings = lib.settings ()
    if not files.exists (settings.python) then
      lib.fail (settings.python .. " is not there. Run: stemfix daw install reaper")
    end
    local maker = settings.data_dir .. "/reaper/make_page.py"
    files.make_folder (settings.data_dir .. "/reaper")
    files.write (maker, MAKER)
    lib.log ("Making the comparison page of", folder)
    local words = { settings.python, maker, settings.data_dir, folder, log, status }
    for index, word in ipairs (words) do words[index] = '"' .. word .. '"' end
    r.ExecProcess (table.concat (words, " "), engine.without_waiting ())
  end

  --- What the command said last, as the end of a sentence.
  local function last_line (log)
    local line = (files.read (log) or ""):match ("([^\r\n]+)%s*$")
    return line and " It said: " .. line:sub (1, 300) or ""
  end

  local function wait (log, status)
    local began, polled = r.time_precise (), 0
    while true do
      local time = r.time_precise ()
      if time - polled >= POLL_S then
        polled = time
        local code = files.read (status)
        if code == "0" then return true end
        if code then lib.fail ("'stemfix report' failed." .. last_line (log)) end
        if time - began > PATIENCE_S then lib.fail ("'stemfix report' does not come to an end." .. last_line (log)) end
      end
      if window.cancelled (0, "Making the comparison page") then return false end
      lib.next_tick ()
    end
  end

  --- Make `comparison.html` in a result's folder. False where the user does not want to wait for it any more. Fails
  -- where it can't be made.
  function M.make (folder)
    local name = lib.settings ().data_dir .. "/reaper/page-" .. engine.new_id ()
    local log, status = name .. ".log", name .. ".exit"
    local function finished ()
      window.close ()
      os.remove (log)
      os.remove (status)
    end
    r.atexit (finished)
    local made, why = lib.try (function ()
      start (folder, log, status)
      window.open ()
      return wait (log, status) and "made" or "left"
    end)
    finished ()
    if why then
      lib.fail ("The comparison page could not be made. " .. why .. "\n\nThe result is in " .. folder)
    end
    return made == "made"
  end

  return M
end
