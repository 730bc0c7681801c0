-- browser: open a page or a folder with the program that the desktop has for it.
return function (lib)
  local M = {}
  local r = reaper

  function M.open (path)
    lib.log ("Opening", path)
    local system = r.GetOS ()
    local program = "/usr/bin/xdg-open"
    if system:match ("^Win") then
      program, path = "explorer.exe", path:gsub ("/", "\\")
    elseif system:match ("^OSX") or system:match ("^macOS") then
      program = "/usr/bin/open"
    end
    r.ExecProcess (('%s "%s"'):format (program, path), -1)
  end

  return M
end
